//! The parts of a running network, to be used, looked at and changed.

use crate::capture::{Capture, Sink};
use crate::line::Counters;
use crate::namespace;
use crate::pump::Pump;
use crate::quality::Quality;
use crate::wan::address;
use crate::{Wan, WanError};
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// A site of a running network.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    pub(crate) wan: &'a Wan,
    pub(crate) site: usize,
}

impl<'a> Site<'a> {
    /// Its name in the topology.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.wan.topology.sites()[self.site]
    }

    /// Its network namespace, as `ip netns` knows it.
    #[must_use]
    pub fn namespace(&self) -> &'a str {
        &self.wan.namespaces[self.site]
    }

    /// Where programs in other sites reach programs in this one, whatever link is up.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        address(self.site)
    }

    /// A command whose program runs inside the site.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.namespace(), program]);
        command
    }

    /// Runs `work` in a thread of its own that is inside the site: a socket it makes stays there,
    /// whichever thread uses it later.
    ///
    /// # Errors
    ///
    /// When the site cannot be entered, or the error of `work`.
    pub fn inside<T: Send>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> Result<T, WanError> {
        namespace::inside(self.namespace(), "work", work)
    }

    /// Copies what the site sends over its links, and what it receives, to a pcap file: what tcpdump
    /// would show there. On links of large packets those are in it as one.
    ///
    /// # Errors
    ///
    /// When the file cannot be created.
    pub fn capture(&self, file: &Path) -> Result<Capture, WanError> {
        let (sink, capture) = Sink::create(file)?;
        for way in self.wan.links().flat_map(|link| link.ways()) {
            if way.from() == self.name() {
                way.pump().order(|orders| orders.entering.push(Arc::clone(&sink)));
            }
            if way.to() == self.name() {
                way.pump().order(|orders| orders.leaving.push(Arc::clone(&sink)));
            }
        }
        Ok(capture)
    }
}

/// A link of a running network.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    pub(crate) wan: &'a Wan,
    pub(crate) link: usize,
}

impl<'a> Link<'a> {
    /// Its sites' names with a hyphen between.
    #[must_use]
    pub fn name(&self) -> String {
        self.wan.topology.link_name(&self.wan.topology.links()[self.link])
    }

    /// From its first site to its second, and back.
    #[must_use]
    pub fn ways(&self) -> [Direction<'a>; 2] {
        [0, 1].map(|way| Direction { link: *self, way })
    }

    /// Loses what is on it and what comes, in both directions. Unless the network was started
    /// without, traffic takes other ways once this returns, or finds no route if there is none.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the new routes; the link is cut even so.
    pub fn cut(&self) -> Result<(), WanError> {
        self.wan.set_cut(self.link, true)
    }

    /// Lets it carry again.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the new routes; the link carries even so.
    pub fn mend(&self) -> Result<(), WanError> {
        self.wan.set_cut(self.link, false)
    }

    /// Whether it is cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.wan.pumps[self.link][0].orders().cut
    }

    /// Copies every packet that comes to the link, from either side, to a pcap file, those that will
    /// be dropped too. Large packets are in it as one.
    ///
    /// # Errors
    ///
    /// When the file cannot be created.
    pub fn capture(&self, file: &Path) -> Result<Capture, WanError> {
        let (sink, capture) = Sink::create(file)?;
        for pump in &self.wan.pumps[self.link] {
            pump.order(|orders| orders.entering.push(Arc::clone(&sink)));
        }
        Ok(capture)
    }
}

/// One direction of a link of a running network.
#[derive(Debug, Clone, Copy)]
pub struct Direction<'a> {
    link: Link<'a>,
    way: usize,
}

impl<'a> Direction<'a> {
    /// The site it leads from.
    #[must_use]
    pub fn from(&self) -> &'a str {
        self.end(self.way)
    }

    /// The site it leads to.
    #[must_use]
    pub fn to(&self) -> &'a str {
        self.end(1 - self.way)
    }

    /// What it is like now.
    #[must_use]
    pub fn quality(&self) -> Quality {
        self.pump().orders().quality
    }

    /// Changes what it is like; when this returns, it is. What is under way stays as it was, what
    /// waits goes at the new rate. Routes stay: they follow the delays of the topology.
    pub fn set(&self, quality: Quality) {
        self.pump().order(|orders| orders.quality = quality);
    }

    /// What became of packets up to now.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.pump().counters()
    }

    fn end(&self, end: usize) -> &'a str {
        let topology = &self.link.wan.topology;
        &topology.sites()[topology.links()[self.link.link].ends[end]]
    }

    fn pump(&self) -> &'a Pump {
        &self.link.wan.pumps[self.link.link][self.way]
    }
}
