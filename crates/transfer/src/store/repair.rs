//! A replica with damaged chunks becomes a copy coming in that lacks them.

use super::{Arriving, LocalStore};
use crate::disk::{self, remove_tree, write_whole};
use crate::error::{TransferError, io_at};
use crate::incoming::{Coming, map_without};
use model::DatasetVersion;
use std::fs;
use std::io::ErrorKind;

impl LocalStore {
    /// Takes the good chunks of a replica for a copy that is coming in and lacks those of `damaged`:
    /// [`fetch`](crate::fetch) then moves these alone. From now on the replica is not here. A crash
    /// inside leaves the replica, or the copy coming in, at worst with all its chunks to be fetched.
    /// Blocks.
    pub fn set_aside_damaged(
        &self,
        data: &DatasetVersion,
        damaged: &[u64],
    ) -> Result<(), TransferError> {
        let layout = self.layout(data)?;
        let (replica, coming) = (self.replica_path(data), self.incoming_path(data));
        self.abandon(data)?;
        // Nobody opens the copy before its map is there.
        let _opening = self.opening();
        let _changing = self.changing();
        for file in &layout.manifest().files {
            match disk::set_mode(&replica.join(&file.path), 0o644) {
                // One that is gone is written anew.
                Err(TransferError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                other => other?,
            }
        }
        remove_tree(&coming)?;
        fs::create_dir_all(&coming).map_err(io_at("create", &coming))?;
        write_whole(&coming.join("manifest.json"), &layout.manifest().canonical())?;
        {
            let mut index = self.index();
            let files = Coming::files_in(&coming);
            fs::rename(&replica, &files).map_err(io_at("set aside", &replica))?;
            index.replicas.remove(data);
            index.recent.retain(|layout| layout.data() != data);
            let arriving = Arriving { bytes: layout.bytes(), open: None };
            index.incoming.insert(data.clone(), arriving);
        }
        // After the files: a map without them would claim what is not there.
        write_whole(&coming.join("progress"), &map_without(damaged, layout.chunks()))?;
        let manifest = self.manifest_path(data);
        fs::remove_file(&manifest).map_err(io_at("remove", &manifest))?;
        disk::sync(&self.0.root.join("replicas"))
    }
}
