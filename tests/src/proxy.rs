//! A line between two processes that can be cut, mended and made to damage what it carries.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A TCP proxy on loopback. Its address stays while what is behind it comes and goes.
///
/// When cut it is silent, as networks are: connections stay open and nothing comes through until
/// it is mended.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
    damage: Arc<AtomicI64>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    /// Who is at the far end, if anybody.
    to: Option<SocketAddr>,
    cut: bool,
}

impl Proxy {
    /// A proxy with nobody behind it yet.
    pub async fn new() -> Self {
        Self::on(TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has ports"))
    }

    /// A proxy whose near end is in a site of an emulated network, on the loopback there.
    pub fn inside(site: wan::Site<'_>) -> Self {
        let listener = site.inside(|| std::net::TcpListener::bind(("127.0.0.1", 0)));
        let listener = listener.expect("the loopback of a site has ports");
        listener.set_nonblocking(true).expect("a socket can be told not to block");
        Self::on(TcpListener::from_std(listener).expect("a socket goes into the runtime"))
    }

    fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("a listener has an address");
        let line = watch::Sender::new(Line { to: None, cut: false });
        let damage = Arc::new(AtomicI64::new(i64::MIN));
        let (seen, harm) = (line.subscribe(), Arc::clone(&damage));
        let serving = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, seen.clone(), Arc::clone(&harm)));
            }
        });
        Self { address, line, damage, serving }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// It, as the start of an URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts somebody at the far end, or nobody: then connections are closed as soon as made.
    pub fn lead_to(&self, to: Option<SocketAddr>) {
        self.line.send_modify(|line| line.to = to);
    }

    /// Lets nothing through any more, in either direction.
    pub fn cut(&self) {
        self.line.send_modify(|line| line.cut = true);
    }

    /// Lets all through again, what was held back included.
    pub fn mend(&self) {
        self.line.send_modify(|line| line.cut = false);
    }

    /// Flips a bit of one byte, once: the one that follows when `after` more have come from the far
    /// end.
    pub fn damage(&self, after: u32) {
        self.damage.store(after.into(), Ordering::SeqCst);
    }

    /// Whether the damage asked for was done.
    #[must_use]
    pub fn has_damaged(&self) -> bool {
        self.damage.load(Ordering::SeqCst) < 0
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn carry(near: TcpStream, mut line: watch::Receiver<Line>, damage: Arc<AtomicI64>) {
    let Ok(Line { to: Some(to), .. }) = line.wait_for(|line| !line.cut).await.map(|line| *line)
    else {
        return;
    };
    let far = tokio::time::timeout(Duration::from_secs(5), TcpStream::connect(to)).await;
    let Ok(Ok(far)) = far else { return };
    // What small messages wait for would be measured as the server's slowness.
    let _ = near.set_nodelay(true).and_then(|()| far.set_nodelay(true));
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let there = pump(near_in, far_out, line.clone(), None);
    let back = pump(far_in, near_out, line, Some(damage));
    // Either end hanging up ends both ways: nobody here speaks over half a connection.
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut line: watch::Receiver<Line>,
    damage: Option<Arc<AtomicI64>>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = &mut buffer[..count];
        if let Some(damage) = &damage {
            harm(bytes, damage);
        }
        if line.wait_for(|line| !line.cut).await.is_err() {
            return;
        }
        if to.write_all(bytes).await.is_err() {
            // Whoever stopped listening may have answered first: that is still to be heard.
            while let Ok(1..) = from.read(&mut buffer).await {}
            return;
        }
    }
}

/// Flips a bit in `bytes` if the byte to be damaged is among them.
fn harm(bytes: &mut [u8], damage: &AtomicI64) {
    let count = i64::try_from(bytes.len()).expect("a buffer is small");
    let left = damage.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        (left >= 0).then(|| if left < count { -1 } else { left - count })
    });
    if let Ok(left) = left
        && let Some(byte) = usize::try_from(left).ok().and_then(|at| bytes.get_mut(at))
    {
        *byte ^= 0x10;
    }
}
