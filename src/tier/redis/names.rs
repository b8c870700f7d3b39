//! What the keys on the server are called.

/// The names of the keys of one domain. What stands in braces decides the slot in a cluster, so
/// that they all lie on one node and a script can touch them together.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// `namespace.number`.
    tag: String,
}

impl Names {
    pub(super) fn new(namespace: &str, domain: usize) -> Self {
        Self { tag: format!("{namespace}.{domain}") }
    }

    /// The slot that all the keys lie in.
    pub(super) fn slot(&self) -> u16 {
        crc16(self.tag.as_bytes()) % 16384
    }

    /// The life of the store, and what is remembered of invalidations: one key, so that it can only
    /// be lost as a whole.
    pub(super) fn meta(&self) -> Vec<u8> {
        self.of("meta", "")
    }

    pub(super) fn log(&self) -> Vec<u8> {
        self.of("log", "")
    }

    /// The names of all jobs.
    pub(super) fn jobs(&self) -> Vec<u8> {
        self.of("jobs", "")
    }

    /// What is known of a job.
    pub(super) fn job(&self, job: &str) -> Vec<u8> {
        self.of("job:", job)
    }

    /// The rows of its runs.
    pub(super) fn runs(&self, job: &str) -> Vec<u8> {
        self.of("runs:", job)
    }

    /// Its runs by when they were due.
    pub(super) fn run_order(&self, job: &str) -> Vec<u8> {
        self.of("order:", job)
    }

    /// Its runs that have not ended, by the ends of their leases.
    pub(super) fn open_runs(&self, job: &str) -> Vec<u8> {
        self.of("open:", job)
    }

    pub(super) fn hot(&self, resource: &str) -> Vec<u8> {
        self.of("hot:", resource)
    }

    pub(super) fn value(&self, key: &str) -> Vec<u8> {
        self.of("v:", key)
    }

    pub(super) fn permit(&self, key: &str) -> Vec<u8> {
        self.of("p:", key)
    }

    /// The bytes before the key in the name of a value.
    pub(super) fn skip(&self) -> usize {
        self.value("").len()
    }

    /// A pattern of the names of all values, as Redis reads it.
    pub(super) fn values(&self) -> Vec<u8> {
        self.value("*")
    }

    fn of(&self, kind: &str, rest: &str) -> Vec<u8> {
        format!("{{{}}}:{kind}{rest}", self.tag).into_bytes()
    }
}

/// Whether a key is the value of some domain of a namespace.
pub(super) fn is_value(namespace: &str, key: &[u8]) -> bool {
    let rest = key.strip_prefix(b"{").and_then(|key| key.strip_prefix(namespace.as_bytes()));
    let rest = rest.and_then(|key| key.strip_prefix(b".")).unwrap_or_default();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    rest.get(digits..).is_some_and(|rest| digits > 0 && rest.starts_with(b"}:v:"))
}

/// The checksum by which a cluster finds the slot of a key: CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc: u16, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 { shifted } else { shifted ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_cluster() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(crc16(b""), 0);
    }

    #[test]
    fn the_keys_of_a_domain_begin_alike_and_are_told_apart() {
        let names = Names::new("shop", 7);
        assert_eq!(names.meta(), b"{shop.7}:meta");
        assert_eq!(names.value("p:user:{1}"), b"{shop.7}:v:p:user:{1}");
        assert_eq!(names.permit("p:user:1"), b"{shop.7}:p:p:user:1");
        assert_eq!(&names.value("p:user:1")[names.skip()..], b"p:user:1");
    }

    #[test]
    fn a_value_is_known_by_its_name() {
        for (key, expected) in [
            ("{shop.0}:v:p:user:1", true),
            ("{shop.15}:v:", true),
            ("{shop.0}:p:p:user:1", false),
            ("{shop.}:v:p:user:1", false),
            ("{shopping.0}:v:p:user:1", false),
            ("shop.0}:v:p:user:1", false),
            ("{shop.0", false),
            ("", false),
        ] {
            assert_eq!(is_value("shop", key.as_bytes()), expected, "{key}");
        }
    }
}
