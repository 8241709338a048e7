//! The file in which a center names its external stores.

use model::{Bytes, Span, Tier};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// One `[[store]]`. Keys are only referred to, never in here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// What the center calls it: a slug.
    pub name: String,
    /// How it is spoken to.
    pub kind: StoreKind,
    /// Where it is, such as `https://oss-cn-shanghai.aliyuncs.com`; for `s3` Amazon's if left out.
    pub endpoint: Option<String>,
    /// The bucket, for object stores.
    pub bucket: Option<String>,
    /// The path, in the bucket or on the server, below which everything is; for `fs` the directory.
    pub root: Option<String>,
    /// The region, for `s3`; `us-east-1` if left out, which stores other than Amazon's ignore.
    pub region: Option<String>,
    /// How soon what is there can be read.
    #[serde(default)]
    pub tier: Tier,
    /// How long data takes to become readable once it is asked for; zero if left out.
    #[serde(default, deserialize_with = "model::unit::text::deserialize")]
    pub recall: Span,
    /// How much may be archived there; no limit of ours if left out.
    #[serde(default, deserialize_with = "amount")]
    pub capacity: Option<Bytes>,
    /// The file that holds the access key, or the user for `webdav` and `http`.
    pub access_key_file: Option<PathBuf>,
    /// The environment variable that holds it instead.
    pub access_key_env: Option<String>,
    /// The file that holds the secret key, or the password.
    pub secret_key_file: Option<PathBuf>,
    /// The environment variable that holds it instead.
    pub secret_key_env: Option<String>,
}

/// How a store is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// Amazon S3 and what speaks like it.
    S3,
    /// Alibaba Cloud OSS.
    Oss,
    /// Huawei Cloud OBS.
    Obs,
    /// Tencent Cloud COS.
    Cos,
    /// WebDAV (RFC 4918).
    Webdav,
    /// A web server: reads only, and cannot list.
    Http,
    /// A directory of this machine.
    Fs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    store: Vec<Spanned<StoreConfig>>,
}

fn amount<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Bytes>, D::Error> {
    model::unit::text::deserialize(from).map(Some)
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S3 => "s3",
            Self::Oss => "oss",
            Self::Obs => "obs",
            Self::Cos => "cos",
            Self::Webdav => "webdav",
            Self::Http => "http",
            Self::Fs => "fs",
        })
    }
}

/// The stores named in `text`; else what is wrong in which line.
pub(super) fn parse(text: &str) -> Result<Vec<StoreConfig>, String> {
    let line = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    // Not the error's own text: it quotes the line, which may hold a key by mistake.
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(1, |span| line(span.start));
        let help = match error.message() {
            said if said.contains("_key`, expected") => {
                "; keys do not stand in this file: name the file they are in with \
                 `access_key_file` and `secret_key_file`"
            }
            _ => "",
        };
        format!("line {at}: {}{help}", error.message())
    })?;
    let mut names = BTreeSet::new();
    for store in &file.store {
        let (at, config) = (line(store.span().start), store.get_ref());
        let wrong = |what: String| format!("line {at}: the store `{}` {what}", config.name);
        config.sound().map_err(wrong)?;
        if !names.insert(&config.name) {
            return Err(wrong("is named twice: give one of them another name".to_owned()));
        }
    }
    Ok(file.store.into_iter().map(Spanned::into_inner).collect())
}

impl StoreConfig {
    /// Whether a store can be opened by it; else what is wrong, to be said after the store's name.
    fn sound(&self) -> Result<(), String> {
        use StoreKind::{Cos, Fs, Http, Obs, Oss, S3, Webdav};
        if !model::id::is_slug(&self.name) {
            return Err("has a name that is none: use a-z, 0-9, `-`, `_` and `.`".to_owned());
        }
        let kind = self.kind;
        let fits: [(&str, bool, &[StoreKind], &[StoreKind]); 4] = [
            ("endpoint", self.endpoint.is_some(), &[Oss, Obs, Cos, Webdav, Http], &[Fs]),
            ("bucket", self.bucket.is_some(), &[S3, Oss, Obs, Cos], &[Webdav, Http, Fs]),
            ("root", self.root.is_some(), &[Fs], &[]),
            ("region", self.region.is_some(), &[], &[Oss, Obs, Cos, Webdav, Http, Fs]),
        ];
        for (field, there, needed, useless) in fits {
            if !there && needed.contains(&kind) {
                return Err(format!("is of kind `{kind}` and needs `{field} = \"…\"`"));
            }
            if there && useless.contains(&kind) {
                return Err(format!("is of kind `{kind}`, which has no `{field}`: leave it out"));
            }
        }
        let secret = self.secret_key_file.is_some() || self.secret_key_env.is_some();
        let access = self.access_key_file.is_some() || self.access_key_env.is_some();
        if secret != access {
            return Err("has one key: name both, the access key and the secret key".to_owned());
        }
        match kind {
            Obs | Cos if !access => Err("needs `access_key_file` and `secret_key_file`".to_owned()),
            Fs if access => Err("is a directory, which has no keys: leave them out".to_owned()),
            _ => Ok(()),
        }
    }

    /// Reads its keys; none when it is open to everybody.
    pub(super) fn keys(&self) -> Result<Option<Keys>, String> {
        let access = key("access_key", self.access_key_file.as_deref(), &self.access_key_env)?;
        let secret = key("secret_key", self.secret_key_file.as_deref(), &self.secret_key_env)?;
        Ok(access.zip(secret).map(|(access, secret)| Keys { access, secret }))
    }
}

/// Keys as read. Without `Debug`, so that they get into no log.
pub(super) struct Keys {
    pub(super) access: String,
    pub(super) secret: String,
}

fn key(
    what: &str,
    file: Option<&Path>,
    variable: &Option<String>,
) -> Result<Option<String>, String> {
    let found = match (file, variable) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(format!("has `{what}_file` and `{what}_env`: leave one out"));
        }
        (Some(file), None) => {
            let text = std::fs::read_to_string(file);
            text.map_err(|e| format!("has its `{what}_file` at {}: {e}", file.display()))?
        }
        (None, Some(name)) => {
            let text = std::env::var(name);
            text.map_err(|_| format!("has its `{what}_env` in {name}, which is not set"))?
        }
    };
    match found.trim() {
        "" => Err(format!("has an empty {what}")),
        found => Ok(Some(found.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn a_store_says_what_it_is_and_where_its_keys_are() {
        let stores = parse(
            "[[store]]\nname = 'archive'\nkind = 'oss'\nendpoint = 'https://oss.example'\n\
             bucket = 'b'\nroot = 'portolan'\ntier = 'cold'\nrecall = '4h'\ncapacity = '2 PiB'\n\
             access_key_file = '/run/a'\nsecret_key_env = 'S'\n\n\
             [[store]]\nname = 'lake'\nkind = 'fs'\nroot = '/lake'\n",
        )
        .unwrap();
        assert_eq!(stores[0].recall, Span(4 * 3_600_000));
        assert_eq!(stores[0].capacity, Some(Bytes(2 << 50)));
        assert_eq!((stores[1].tier, stores[1].capacity), (Tier::Hot, None));
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_remedy() {
        let store = "[[store]]\nname = 'a'\nkind = 's3'\n";
        let check = |text: &str, says: &str| {
            let said = refused(text);
            assert!(said.contains(says), "{said}");
        };
        check(store, "line 1: the store `a` is of kind `s3` and needs `bucket");
        check("\n[[store]]\nname = 'a'\nkind = 'tape'", "line 4: unknown variant `tape`");
        check(&format!("{store}bucket = 'b'\ncolour = 'red'"), "line 5: unknown field `colour`");
        check(&format!("{store}bucket = 'b'\ncapacity = 'much'"), "line 5: ");
        check(&format!("{store}bucket = 'b'\nsecret_key_env = 'S'"), "name both");
        let fs = "[[store]]\nname = 'a'\nkind = 'fs'\nroot = '/a'\n";
        check(&format!("{fs}{fs}"), "line 5: the store `a` is named twice");
        check(&format!("{fs}bucket = 'b'"), "leave it out");
        check(
            "[[store]]\nname = 'a'\nkind = 'obs'\nendpoint = 'e'\nbucket = 'b'",
            "access_key_file",
        );
    }

    #[test]
    fn a_key_written_into_the_file_by_mistake_is_not_repeated() {
        let said =
            refused("[[store]]\nname = 'a'\nkind = 's3'\nbucket = 'b'\nsecret_key = 'hunter2'\n");
        assert!(said.contains("secret_key_file") && !said.contains("hunter2"), "{said}");
    }
}
