use super::*;

fn reads(reads: u32, load_p95_ms: Option<f32>) -> Figures {
    Figures { reads, load_p95_ms, ..Figures::default() }
}

#[test]
fn a_second_takes_room_for_what_was_busy_in_it() {
    let all = [Figures::default(), reads(3, None), reads(2, Some(7.5)), reads(1, Some(2.5))];
    let second = Second::of(all.into_iter());
    assert_eq!(second.busy.len(), 3);
    // What docs/operations.md says.
    assert_eq!(size_of_val(&*second.busy), 3 * 44);
    for (place, figures) in (0..).zip(all) {
        assert_eq!(second.sample(Looked(Some(place))).figures, figures);
    }
    assert_eq!(second.sample(Looked(None)).figures, reads(6, Some(7.5)));
}

#[test]
fn ten_minutes_are_kept() {
    let watch = Watch::default();
    for nth in 0..700 {
        watch.add(Second::of([reads(nth, None)].into_iter()));
    }
    let samples = watch.samples(Looked(Some(0)));
    assert_eq!(samples.len(), 600);
    assert_eq!(samples.first().map(|sample| sample.figures.reads), Some(100));
    assert_eq!(samples.last().map(|sample| sample.figures.reads), Some(699));
}
