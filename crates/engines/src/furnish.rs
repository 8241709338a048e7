//! What is made for an attempt before it runs.

use crate::attempt_dir::AttemptDir;
use crate::ground::remove_all;
use crate::{Error, Launch, RunAs};
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

impl AttemptDir {
    /// Makes everything in the attempt's directory but the launch itself. What an earlier try left
    /// there goes.
    pub(crate) fn furnish(&self, launch: &Launch) -> Result<(), Error> {
        remove_all(self.path());
        let make = |path: &Path, mode: u32| {
            let made = DirBuilder::new().mode(mode).create(path);
            // What the process's own mask may have taken away.
            let others = mode & 0o077 != 0;
            made.and_then(|()| match others {
                true => fs::set_permissions(path, Permissions::from_mode(mode)),
                false => Ok(()),
            })
            .map_err(Error::io("make", path))
        };
        let give = |path: &Path, to: RunAs| {
            std::os::unix::fs::chown(path, Some(to.uid), Some(to.gid))
                .map_err(Error::io("give away", path))
        };
        make(self.path(), if launch.run_as.is_some() { 0o711 } else { 0o700 })?;
        let work = self.work();
        let mut dirs = vec![work.clone(), self.tmp()];
        let below = |name: &Path| {
            name.ancestors()
                .filter(|a| !a.as_os_str().is_empty())
                .map(|a| work.join(a))
                .collect::<Vec<_>>()
        };
        for input in &launch.inputs {
            dirs.extend(input.name.parent().map(below).unwrap_or_default());
        }
        dirs.extend(launch.outputs.iter().flat_map(|output| below(output)));
        if let Some(checkpoint) = &launch.checkpoint {
            dirs.extend(checkpoint.name.parent().map(below).unwrap_or_default());
            if !checkpoint.target.is_dir() {
                dirs.push(checkpoint.target.clone());
            }
        }
        if !launch.secret_files.is_empty() {
            dirs.push(self.secrets());
        }
        dirs.sort();
        dirs.dedup();
        for dir in &dirs {
            make(dir, 0o700)?;
            if let Some(user) = launch.run_as {
                give(dir, user)?;
            }
        }
        let inputs = launch.inputs.iter().map(|input| (&input.name, &input.target));
        let kept = launch.checkpoint.iter().map(|kept| (&kept.name, &kept.target));
        for (name, target) in inputs.chain(kept) {
            let link = work.join(name);
            std::os::unix::fs::symlink(target, &link).map_err(Error::io("link", &link))?;
        }
        for secret in &launch.secret_files {
            let path = self.secrets().join(&secret.name);
            copy_closed(&secret.source, &path)?;
            if let Some(user) = launch.run_as {
                give(&path, user)?;
            }
        }
        Ok(())
    }
}

/// Copies a file to where nobody but its owner may read it, not even for a moment.
fn copy_closed(source: &Path, path: &Path) -> Result<(), Error> {
    let mut from = fs::File::open(source).map_err(Error::io("read", source))?;
    let to = OpenOptions::new().write(true).create_new(true).mode(0o400).open(path);
    let mut to = to.map_err(Error::io("make", path))?;
    std::io::copy(&mut from, &mut to).map_err(Error::io("fill", path))?;
    Ok(())
}
