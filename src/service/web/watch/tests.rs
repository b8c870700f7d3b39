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

#[tokio::test(start_paused = true)]
async fn what_came_before_the_first_second_is_told_of_it() {
    let forewarm = Forewarm::builder().build().await.unwrap();
    let words = forewarm.resource::<u32, u32>("word");
    let words = words.load_with(|key| std::future::ready(Ok(key))).build().unwrap();
    for _ in 0..3 {
        words.get(&7).await.unwrap();
    }
    let watch = Watch::default();
    let sampling = tokio::time::timeout(EVERY * 5 / 2, watch.run(&forewarm));
    assert!(sampling.await.is_err());
    let looked = watch.look(&forewarm, Some("word")).unwrap();
    let reads: Vec<_> = watch.samples(looked).iter().map(|second| second.figures.reads).collect();
    assert_eq!(reads, [3, 0]);
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
