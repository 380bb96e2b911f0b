//! What a new host installs: packages that somebody else has signed, and the line that fetches them (SECURITY, "One
//! exception, said aloud").
//!
//! The collector holds no key that signs: only the public release key, against which a package is checked before it is
//! offered, and which stands in the install line so that the host checks it again. A manifest of two lines is signed,
//! and names the package's SHA-256.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use upheld_wire::v1::enroll::EnrollLink;

use crate::{
    data_dir::DataDir,
    failure::{Exit, Failure},
    files::{FileError, create_private_folder, read_text, write_private},
    pki::Pki,
};

/// What every Ed25519 public key begins with in DER (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// The longest package that is taken.
const BYTES_MAX: u64 = 256 << 20;
/// The file of the key, in the same folder.
pub(crate) const RELEASE_KEY: &str = "release.key";

/// The folder of packages.
#[derive(Debug, Clone)]
pub(crate) struct Packages(PathBuf);

/// A package that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offered {
    /// `upheld-agent`.
    pub(crate) name: String,
    /// Debian's word for the machine: `amd64`.
    pub(crate) arch: String,
    /// Its version.
    pub(crate) version: String,
    /// Its SHA-256, in hexadecimal.
    pub(crate) sha256: String,
}

impl Packages {
    /// Those of a data folder.
    pub(crate) fn of(data: &DataDir) -> Self {
        Self(data.packages())
    }

    /// The release key, 44 characters; `None` where the provider has set none.
    pub(crate) fn key(&self) -> Result<Option<String>, Failure> {
        let path = self.0.join(RELEASE_KEY);
        if !path.exists() {
            return Ok(None);
        }
        let text = read_text(&path)?;
        key_of(&text).map(Some).map_err(|why| {
            Failure::new(Exit::Config, format!("{} is no release key", path.display()))
                .because(why)
                .todo("upheld-collector package key FILE")
        })
    }

    /// Sets the release key: a public key in PEM, or its 44 characters.
    pub(crate) fn set_key(&self, text: &str, from: &Path) -> Result<String, Failure> {
        let key = key_of(text).map_err(|why| {
            Failure::new(Exit::Config, format!("{} is no public Ed25519 key", from.display()))
                .because(why)
                .todo("make a pair: openssl genpkey -algorithm ed25519 -out release.pem")
                .todo("its public half: openssl pkey -in release.pem -pubout -out release.pub")
        })?;
        create_private_folder(&self.0)?;
        write_private(&self.0.join(RELEASE_KEY), format!("{key}\n").as_bytes())?;
        Ok(key)
    }

    /// Takes a package whose manifest and signature lie beside it (`FILE.manifest`, `FILE.sig`), once both hold.
    pub(crate) fn add(&self, file: &Path) -> Result<Offered, Failure> {
        let Some(key) = self.key()? else {
            return Err(Failure::new(Exit::Config, "no release key is set, so no package can be checked")
                .todo("upheld-collector package key release.pub"));
        };
        let beside = |end: &str| {
            let mut name = file.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        let size = fs::metadata(file).map_err(FileError::of("read", file))?.len();
        if size > BYTES_MAX {
            return Err(Failure::new(Exit::Failed, format!("{} has {size} bytes", file.display()))
                .because(format!("no package of ours has more than {BYTES_MAX}")));
        }
        let package = fs::read(file).map_err(FileError::of("read", file))?;
        let unsigned = |failure: Failure| {
            failure.todo(format!(
                "sign it where it is built: dist/build-deb --sign release.pem, which writes {}.sig",
                file.display()
            ))
        };
        let manifest = read_text(&beside(".manifest")).map_err(|error| unsigned(error.into()))?;
        let signature = read_text(&beside(".sig")).map_err(|error| unsigned(error.into()))?;
        let offered = check(&key, &manifest, &signature, &package).map_err(|why| {
            Failure::new(Exit::Failed, format!("{} is not taken", file.display()))
                .because(why)
                .todo(format!("the release key is {key}: `upheld-collector package key FILE` sets another"))
        })?;
        create_private_folder(&self.0)?;
        // The manifest last: a host that asks in between finds a package that does not match, and installs nothing.
        for (part, content) in
            [("deb", package.as_slice()), ("sig", signature.as_bytes()), ("manifest", manifest.as_bytes())]
        {
            write_private(&self.0.join(format!("{}_{}.{part}", offered.name, offered.arch)), content)?;
        }
        Ok(offered)
    }

    /// What is offered.
    pub(crate) fn list(&self) -> Vec<Offered> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let manifests =
            entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "manifest"));
        let mut all: Vec<_> = manifests.filter_map(|path| read_manifest(&fs::read_to_string(path).ok()?)).collect();
        all.sort_by(|one, other| (&one.name, &one.arch).cmp(&(&other.name, &other.arch)));
        all
    }

    /// A file that hosts may fetch: `upheld-agent_amd64.deb`, `.manifest`, `.sig`, and no other name.
    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        let (stem, end) = name.rsplit_once('.')?;
        let arch = stem.strip_prefix("upheld-agent_")?;
        let is_plain = !arch.is_empty() && arch.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        (is_plain && matches!(end, "deb" | "manifest" | "sig")).then(|| self.0.join(name))
    }
}

/// The line that installs the agent on a host, as signed by this release key, and enrols it.
pub(crate) fn install_line(url: &str, pki: &Pki, link: &EnrollLink, key: &str) -> String {
    let pin = format!("sha256//{}", pki.portal_pin());
    format!("curl -fsSk --pinnedpubkey '{pin}' {url}/install.sh | sudo sh -s -- '{link}' '{key}' '{pin}'")
}

/// The key's own 32 bytes in base64, of a PEM file or of themselves.
fn key_of(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_pem = text.starts_with("-----BEGIN");
    if is_pem && !text.starts_with("-----BEGIN PUBLIC KEY-----") {
        return Err("it is not the public half of a pair".to_owned());
    }
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let bytes = STANDARD.decode(&body).map_err(|error| error.to_string())?;
    let own = if is_pem { bytes.strip_prefix(&SPKI_PREFIX[..]).ok_or("it is a key of another kind")? } else { &bytes };
    if own.len() != 32 {
        return Err(format!("an Ed25519 key has 32 bytes, this has {}", own.len()));
    }
    Ok(STANDARD.encode(own))
}

/// What the manifest says, if the key has signed it and it is of this package.
fn check(key: &str, manifest: &str, signature: &str, package: &[u8]) -> Result<Offered, String> {
    let key_bytes = STANDARD.decode(key).map_err(|error| error.to_string())?;
    let signature =
        STANDARD.decode(signature.trim()).map_err(|error| format!("its signature cannot be read: {error}"))?;
    UnparsedPublicKey::new(&ED25519, key_bytes)
        .verify(manifest.as_bytes(), &signature)
        .map_err(|_| "it is not signed by the release key".to_owned())?;
    let offered = read_manifest(manifest).ok_or("its manifest is not one of ours")?;
    let is: String = Sha256::digest(package).iter().map(|byte| format!("{byte:02x}")).collect();
    if is != offered.sha256 {
        return Err(format!(
            "it is not the package that was signed: its SHA-256 is {is}, signed is {}",
            offered.sha256
        ));
    }
    Ok(offered)
}

/// `upheld-package/1 NAME ARCH VERSION`, then `sha256 HEX`.
fn read_manifest(text: &str) -> Option<Offered> {
    let mut lines = text.lines();
    let mut words = lines.next()?.split(' ');
    let (kind, name, arch, version) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let sha256 = lines.next()?.strip_prefix("sha256 ")?;
    let is_ours = kind == "upheld-package/1" && name == "upheld-agent" && words.next().is_none();
    let is_plain = arch.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let is_hex = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_ours && is_plain && is_hex && lines.next().is_none()).then(|| Offered {
        name: name.to_owned(),
        arch: arch.to_owned(),
        version: version.to_owned(),
        sha256: sha256.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use ring::{
        rand::SystemRandom,
        signature::{Ed25519KeyPair, KeyPair},
    };

    use super::*;

    struct Built {
        folder: tempfile::TempDir,
        pair: Ed25519KeyPair,
    }

    impl Built {
        fn new() -> Self {
            let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
            let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
            Self { folder: tempfile::tempdir().unwrap(), pair }
        }

        fn packages(&self) -> Packages {
            let packages = Packages(self.folder.path().join("packages"));
            let der = [&SPKI_PREFIX[..], self.pair.public_key().as_ref()].concat();
            let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der));
            packages.set_key(&pem, Path::new("release.pub")).unwrap();
            packages
        }

        /// A package as `dist/build-deb --sign` leaves it.
        fn package(&self, version: &str, content: &[u8]) -> PathBuf {
            let file = self.folder.path().join(format!("upheld-agent_{version}_amd64.deb"));
            let sha256: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
            let manifest = format!("upheld-package/1 upheld-agent amd64 {version}\nsha256 {sha256}\n");
            let signature = STANDARD.encode(self.pair.sign(manifest.as_bytes()));
            fs::write(&file, content).unwrap();
            fs::write(format!("{}.manifest", file.display()), manifest).unwrap();
            fs::write(format!("{}.sig", file.display()), signature).unwrap();
            file
        }
    }

    #[test]
    fn a_signed_package_is_offered_and_the_next_one_takes_its_place() {
        let built = Built::new();
        let packages = built.packages();
        assert_eq!(packages.list(), []);
        packages.add(&built.package("0.1.0-1", b"one")).unwrap();
        packages.add(&built.package("0.1.1-1", b"two")).unwrap();
        let [offered] = &packages.list()[..] else { panic!("{:?}", packages.list()) };
        assert_eq!((offered.arch.as_str(), offered.version.as_str()), ("amd64", "0.1.1-1"));
        assert_eq!(fs::read(packages.file("upheld-agent_amd64.deb").unwrap()).unwrap(), b"two");
    }

    #[test]
    fn what_is_tampered_with_or_signed_by_another_key_is_not_taken() {
        let built = Built::new();
        let packages = built.packages();
        let refused = |file: &Path| packages.add(file).unwrap_err().text(false);
        let file = built.package("0.1.0-1", b"one");
        fs::write(&file, b"0ne").unwrap();
        assert!(refused(&file).contains("not the package that was signed"), "{}", refused(&file));
        let strange = Built::new();
        let theirs = strange.package("0.1.0-1", b"one");
        assert!(refused(&theirs).contains("not signed by the release key"), "{}", refused(&theirs));
        let file = built.package("0.1.0-1", b"one");
        fs::remove_file(format!("{}.sig", file.display())).unwrap();
        assert!(refused(&file).contains("dist/build-deb --sign"), "{}", refused(&file));
        assert_eq!(packages.list(), [], "nothing was left behind");
    }

    #[test]
    fn only_the_files_of_packages_have_a_way_out() {
        let packages = Packages(PathBuf::from("/data/packages"));
        assert!(packages.file("upheld-agent_arm64.sig").is_some());
        for name in
            ["release.key", "upheld-agent_../secrets.deb", "upheld-agent_.deb", "upheld-agent_amd64.pem", "../pki"]
        {
            assert_eq!(packages.file(name), None, "{name}");
        }
    }

    #[test]
    fn a_private_key_is_refused_before_it_is_kept() {
        let refused = key_of("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----").unwrap_err();
        assert!(refused.contains("not the public half"), "{refused}");
        assert!(key_of("c2hvcnQ=").unwrap_err().contains("32 bytes"));
    }
}
