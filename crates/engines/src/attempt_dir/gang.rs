//! The files of an attempt that runs on several nodes, whose supervisors have nothing else in common.
//!
//! | file | by | says |
//! |---|---|---|
//! | `seat-RANK` | each supervisor | who is there, and by what address; linked, so that a seat has one owner |
//! | `dismissed` | the leader | that all are to end |
//! | `members/RANK/` | a member | its own `alive`, `running.json`, `result.json`, logs and `tmp/` |

use super::AttemptDir;
use crate::Error;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

const DISMISSED: &str = "dismissed";

impl AttemptDir {
    /// Takes a place in the attempt's gang; false if somebody else has it.
    pub(crate) fn take_seat(&self, rank: u32, address: &str) -> Result<bool, Error> {
        self.link_once(&seat(rank), &address)
    }

    /// The address of whoever has this place in the gang.
    pub(crate) fn read_seat(&self, rank: u32) -> Result<Option<String>, Error> {
        self.read_json(&seat(rank))
    }

    /// The secrets, which stay where they are.
    pub(crate) fn read_secrets(&self) -> Result<BTreeMap<String, String>, Error> {
        Ok(self.read_json("secrets.json")?.unwrap_or_default())
    }

    /// The directory of a member.
    pub(crate) fn member(&self, rank: u32) -> Self {
        Self { path: self.member_path(rank), shared: self.shared }
    }

    fn member_path(&self, rank: u32) -> PathBuf {
        self.path.join("members").join(rank.to_string())
    }

    /// Makes the directory of a member.
    pub(crate) fn make_member(&self, rank: u32) -> Result<Self, Error> {
        let member = self.member(rank);
        let tmp = member.tmp();
        fs::create_dir_all(&tmp).map_err(Error::io("make", &tmp))?;
        Ok(member)
    }

    /// Tells all members to end.
    pub(crate) fn dismiss(&self) -> Result<(), Error> {
        match self.is_dismissed() {
            true => Ok(()),
            false => self.write_json(DISMISSED, &()),
        }
    }

    pub(crate) fn is_dismissed(&self) -> bool {
        self.path.join(DISMISSED).exists()
    }
}

fn seat(rank: u32) -> String {
    format!("seat-{rank}")
}
