//! What is read, what is refused, and that what was written is read.

use zstd::zstd_safe::get_dict_id_from_frame;

use upheld_model::{Digest, Epoch, ObservedAt, RecordId, Seq, finding::CheckState};
use upheld_wire::v1::{CheckNow, Record, record::content_hash};

use super::*;

/// Without one, and with each that is known.
const DICTIONARIES: [Option<u16>; 2] = [None, Some(40_001)];

#[test]
fn a_body_of_any_size_within_the_limits_is_inflated() {
    // The smallest bodies have the lowest limit by their ratio.
    for size in [0, 1, 40, 400, 20_000, 300_000] {
        let text: Vec<u8> = (0..size).map(|at: u32| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let packed = zstd::bulk::compress(&text, 1).unwrap();
        assert_eq!(inflate(&packed).unwrap(), text);
    }
}

#[test]
fn a_bomb_is_refused_by_its_ratio() {
    let packed = zstd::bulk::compress(&vec![0; 1 << 20], 1).unwrap();
    assert!(inflate(&packed).unwrap_err().is_too_large());
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

fn request() -> DeliverRequest {
    let json = r#"{"protocol":1,"heads":[],"clock":{"wall":"2026-11-16T16:10:07Z","mono":1,"boot":"b"},
        "now":{},"records":[],"batch_digest":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#;
    serde_json::from_str(json).unwrap()
}

#[test]
fn a_request_survives_the_wire() {
    for dictionary in DICTIONARIES {
        let wire = deflate(&request(), dictionary).unwrap();
        let read = read_request(&inflate(&wire).unwrap()).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), serde_json::to_string(&request()).unwrap());
    }
}

#[test]
fn a_request_that_compresses_too_well_still_passes_the_ratio() {
    let mut large = request();
    large.now.ailments = vec!["the same words again and again".to_owned(); 40_000];
    for dictionary in DICTIONARIES {
        let wire = deflate(&large, dictionary).unwrap();
        let read = read_request(&inflate(&wire).unwrap()).unwrap();
        assert_eq!(read.now, large.now);
    }
}

#[test]
fn each_limit_has_its_name() {
    let limit = |result: Result<Vec<u8>, IntakeError>| {
        let Err(IntakeError::TooLarge { what, .. }) = result else { panic!("{:?}", result.map(|bytes| bytes.len())) };
        what
    };
    assert_eq!(limit(inflate(&vec![0; WIRE_BYTES_MAX + 1])), "bytes on the wire");
    assert_eq!(limit(inflate(&packed(&vec![b' '; 100_000]))), "inflated bytes for this many on the wire");
    let mut dice = 1;
    let noise: Vec<u8> = (0..400_000).map(|_| (crate::spread::next(&mut dice) % 251) as u8).collect();
    let large = [noise, vec![b' '; INFLATED_BYTES_MAX]].concat();
    assert_eq!(limit(inflate(&packed(&large))), "inflated bytes");
}

#[test]
fn what_is_not_zstd_or_wants_a_large_window_is_refused() {
    assert!(matches!(inflate(b"{}"), Err(IntakeError::NotZstd(_))));
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&[b'x'; 1000]).unwrap();
    let wide = encoder.finish().unwrap();
    assert!(matches!(inflate(&wide), Err(IntakeError::NotZstd(_))));
    let cut = &packed(&[b'x'; 100])[..10];
    assert!(inflate(cut).is_err());
}

#[test]
fn nesting_is_counted_outside_strings_only() {
    assert_eq!(depth(br#"{"a":[["[[[\"[["]]}"#), 3);
    let deep = "[".repeat(17) + &"]".repeat(17);
    assert!(read_request(deep.as_bytes()).unwrap_err().is_too_large());
    assert!(!read_request(b"{}").unwrap_err().is_too_large());
}

/// A request of as many records as `size` says, of any text.
fn any_request(dice: &mut u64, size: u64) -> DeliverRequest {
    let mut any = request();
    let mut roll = |below: u64| crate::spread::next(dice) % below.max(1);
    for number in 0..roll(size) {
        let state = CheckNow {
            state: CheckState::Ok,
            since: ObservedAt(jiff::Timestamp::from_millisecond(i64::try_from(roll(1 << 40)).unwrap()).unwrap()),
        };
        any.now.checks.insert(format!("asset-{number}/net.tcp").parse().unwrap(), state);
    }
    for seq in 0..roll(size) {
        let text: String =
            (0..roll(400)).map(|_| char::from_u32(u32::try_from(32 + roll(0x2000)).unwrap()).unwrap()).collect();
        let body = serde_json::to_string(&text).unwrap();
        let salt = RecordId([u8::try_from(roll(256)).unwrap(); 16]);
        any.records.push(Record {
            epoch: Epoch(roll(1 << 60)),
            seq: Seq(seq),
            record_id: salt,
            content_hash: content_hash(&salt, &body),
            chain: Digest([u8::try_from(roll(256)).unwrap(); 32]),
            previous: None,
            sig: None,
            salt,
            omitted: None,
            body: serde_json::value::RawValue::from_string(body).unwrap(),
        });
    }
    any
}

#[test]
fn whatever_is_written_is_read_with_and_without_a_dictionary() {
    let mut dice = 3;
    for size in 0..120 {
        let any = any_request(&mut dice, size);
        for dictionary in DICTIONARIES {
            let wire = deflate(&any, dictionary).unwrap();
            assert_eq!(get_dict_id_from_frame(&wire).map(std::num::NonZeroU32::get), dictionary.map(u32::from));
            let read = read_request(&inflate(&wire).unwrap()).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), serde_json::to_string(&any).unwrap());
        }
    }
}

#[test]
fn every_dictionary_is_small_and_names_itself_as_we_do() {
    assert_eq!(dictionary::ALL.len() + 1, DICTIONARIES.len(), "each is tried above");
    for (id, bytes) in dictionary::ALL {
        assert!(bytes.len() <= 16 << 10, "{id}: {} bytes", bytes.len());
        assert_eq!(bytes[..4], 0xec30_a437_u32.to_le_bytes(), "{id}");
        assert_eq!(bytes[4..8], u32::from(*id).to_le_bytes());
        assert_eq!(dictionary::bytes(*id), Some(*bytes));
    }
    assert_eq!(dictionary::best(), DICTIONARIES[1]);
}

#[test]
fn a_small_report_is_smaller_with_the_dictionary() {
    let mut small = request();
    let since = ObservedAt("2026-11-28T16:10:07Z".parse().unwrap());
    small.now.checks = [("nvr-7/net.tcp".parse().unwrap(), CheckNow { state: CheckState::Ok, since })].into();
    let [without, with] = DICTIONARIES.map(|dictionary| deflate(&small, dictionary).unwrap().len());
    assert!(with * 3 < without * 2, "{with} of {without} bytes");
}

/// Packed with a dictionary of this id, that otherwise is ours.
fn packed_with(id: u32, bytes: &[u8]) -> Vec<u8> {
    let mut dictionary = dictionary::bytes(40_001).unwrap().to_vec();
    dictionary[4..8].copy_from_slice(&id.to_le_bytes());
    let mut encoder = zstd::stream::write::Encoder::with_dictionary(Vec::new(), 3, &dictionary).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_dictionary_that_is_not_known_is_refused_by_its_id() {
    let wire = packed_with(40_999, br#"{"protocol":1,"heads":[]}"#);
    let refusal = inflate(&wire).unwrap_err();
    assert!(matches!(refusal, IntakeError::Dictionary(40_999)), "{refusal}");
    assert!(inflate(&packed_with(40_001, br#"{"protocol":1,"heads":[]}"#)).is_ok(), "with ours the same is read");
}

#[test]
fn a_bomb_behind_a_dictionary_is_refused_and_so_is_a_frame_that_only_names_one() {
    let bomb = packed_with(40_001, &vec![b' '; 1 << 20]);
    assert!(inflate(&bomb).unwrap_err().is_too_large(), "by its ratio");
    let mut dice = 1;
    let noise: Vec<u8> = (0..400_000).map(|_| (crate::spread::next(&mut dice) % 251) as u8).collect();
    let large = packed_with(40_001, &[noise, vec![b' '; INFLATED_BYTES_MAX]].concat());
    assert!(inflate(&large).unwrap_err().is_too_large(), "by its size");
    let good = packed_with(40_001, br#"{"protocol":1,"heads":[],"now":{"checks":{}}}"#);
    for at in 0..good.len() {
        for flip in [1, 128] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            // Read as something else or refused: never more than the limit, never a panic.
            if let Ok(read) = inflate(&bad) {
                assert!(read.len() <= bad.len() * INFLATION_MAX);
            }
        }
    }
}
