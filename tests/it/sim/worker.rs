//! Doing what the script says.

use std::collections::BTreeMap;
use std::sync::Arc;

use forewarm::{Error, Forewarm, Read, ReadOptions};
use futures_util::future::join;
use parking_lot::Mutex;
use tokio::time::sleep;

use super::engine::Running;
use super::history::{History, How, Reading};
use super::script::{Act, Step};
use super::thing::{KEYS, KINDS, Kind, Thing, What, loaded_tag, tag};
use super::truth::Truth;

/// What those who do something share.
pub(super) struct World {
    pub(super) truth: Truth,
    pub(super) history: History,
    /// The engines, each in its place.
    pub(super) engines: Mutex<Vec<Arc<Running>>>,
    /// One writer at a time for each thing.
    pub(super) locks: BTreeMap<(Kind, u32), tokio::sync::Mutex<()>>,
    /// Reads that cannot say whether their answers are verified are left out.
    pub(super) must_label: bool,
}

impl World {
    pub(super) fn engine(&self, place: usize) -> Arc<Running> {
        Arc::clone(&self.engines.lock()[place])
    }

    /// Whether an engine has been replaced by another one.
    fn is_gone(&self, engine: &Arc<Running>) -> bool {
        !self.engines.lock().iter().any(|running| Arc::ptr_eq(running, engine))
    }

    pub(super) async fn work(self: Arc<Self>, steps: Vec<Step>) {
        for step in steps {
            sleep(step.pause).await;
            let engine = self.engine(step.engine);
            Doing { world: &self, engine: &engine, kind: step.kind, key: step.key }
                .act(step.act)
                .await;
        }
    }
}

/// One thing that is done.
#[derive(Clone, Copy)]
struct Doing<'a> {
    world: &'a World,
    engine: &'a Arc<Running>,
    kind: Kind,
    key: u32,
}

impl Doing<'_> {
    async fn act(self, act: Act) {
        match act {
            Act::WriteAndInvalidate { after } => {
                self.write(self.world.locks[&(self.kind, self.key)].lock().await);
                sleep(after).await;
                self.invalidate(What::Key(self.key)).await;
            }
            Act::WriteAndPut => self.put().await,
            Act::Invalidate(what) => self.invalidate(what).await,
            Act::InvalidateEverything => self.invalidate_everything().await,
            Act::Preload => self.preload().await,
            Act::Idle => {}
            look => self.look(look).await,
        }
    }

    /// Reads something.
    async fn look(self, act: Act) {
        let options = ReadOptions::new();
        match act {
            Act::Get if self.world.must_label => self.read(options, How::default()).await,
            Act::Get => self.get().await,
            Act::GetMany => self.get_many().await,
            Act::With => self.with().await,
            Act::Peek => self.peek(),
            Act::Read => self.read(options, How::default()).await,
            Act::ReadYoung(max_age) => {
                let how = How { max_age: Some(max_age), ..How::default() };
                self.read(options.max_age(max_age), how).await;
            }
            Act::ReadFresh => {
                let how = How { wants_fresh: true, ..How::default() };
                self.read(options.fresh_only(), how).await;
            }
            Act::Refresh => self.read(options.refresh(), NEW).await,
            Act::Bypass => self.read(options.bypass(), NEW).await,
            other => panic!("no read: {other:?}"),
        }
    }

    fn reads(self, how: How) -> Reading {
        self.world.history.reads(self.engine.number, self.kind, how)
    }

    /// What a read of a key came to.
    fn ended(self, reading: Reading, key: u32, answer: Result<Option<&Thing>, &Error>) {
        match answer {
            Ok(thing) => self.world.history.ended(reading, key, thing),
            Err(error) => {
                let is_gone = self.world.is_gone(self.engine);
                self.world.history.failed(reading, key, error, is_gone);
            }
        }
    }

    async fn get(self) {
        let reading = self.reads(How::default());
        let answer = self.engine.resource(self.kind).get(&self.key).await;
        self.ended(reading, self.key, answer.as_ref().map(Option::as_deref));
    }

    async fn get_many(self) {
        if self.world.must_label {
            return self.get_one_by_one().await;
        }
        let reading = self.reads(How::default());
        let answers = self.engine.resource(self.kind).get_many(&KEYS).await;
        for (key, answer) in KEYS.into_iter().zip(&answers) {
            self.ended(reading, key, answer.as_ref().map(Option::as_deref));
        }
    }

    async fn get_one_by_one(self) {
        for key in KEYS {
            Doing { key, ..self }.read(ReadOptions::new(), How::default()).await;
        }
    }

    async fn with(self) {
        if self.world.must_label {
            return self.read(ReadOptions::new(), How::default()).await;
        }
        let reading = self.reads(How::default());
        let see = |thing: Option<&Thing>| thing.cloned();
        let answer = self.engine.resource(self.kind).with(&self.key, see).await;
        self.ended(reading, self.key, answer.as_ref().map(Option::as_ref));
    }

    fn peek(self) {
        let reading = self.reads(How::default());
        if let Some(read) = self.engine.resource(self.kind).peek(&self.key) {
            self.labelled(reading, &read);
        }
    }

    async fn read(self, options: ReadOptions, how: How) {
        let reading = self.reads(how);
        match self.engine.resource(self.kind).read(&self.key, &options).await {
            Ok(read) => self.labelled(reading, &read),
            Err(error) => self.ended(reading, self.key, Err(&error)),
        }
    }

    fn labelled(self, reading: Reading, read: &Read<Thing>) {
        if read.is_verified {
            self.ended(reading, self.key, Ok(read.value.as_deref()));
        } else {
            self.world.history.unverified();
        }
    }

    async fn preload(self) {
        let preloaded = self.engine.resource(self.kind).preload(&KEYS[..3]).await;
        self.world.history.note(&format!("e{} {preloaded:?}", self.engine.number));
    }

    /// Changes the source, while nobody else does.
    fn write(self, _lock: tokio::sync::MutexGuard<'_, ()>) {
        let version = self.world.truth.write(self.kind, self.key);
        let (kind, key) = (self.kind.name(), self.key);
        self.world.history.note(&format!("{kind} {key} is v{version}"));
    }

    /// Changes the source and puts what is there then. Nobody else changes it before the call has
    /// begun.
    async fn put(self) {
        let lock = self.world.locks[&(self.kind, self.key)].lock().await;
        let version = self.world.truth.write(self.kind, self.key);
        let (kind, key) = (self.kind.name(), self.key);
        self.world.history.note(&format!("{kind} {key} is v{version}"));
        let resource = self.engine.resource(self.kind);
        let calls = |what| self.world.history.calls(self.engine.number, self.kind, what);
        let unlock = async { drop(lock) };
        let Some(thing) = self.world.truth.present(self.kind, key, true) else {
            let changing = calls(What::Key(key));
            let (delivery, ()) = join(resource.invalidate(&key), unlock).await;
            return self.world.history.returned(changing, delivery);
        };
        let changing = calls(What::Put(key));
        // As old as the call.
        let thing = Thing { tick: changing.called, ..thing };
        let (delivery, ()) = join(resource.put(&key, thing), unlock).await;
        self.world.history.returned(changing, delivery);
    }

    async fn invalidate(self, what: What) {
        let changing = self.world.history.calls(self.engine.number, self.kind, what);
        let resource = self.engine.resource(self.kind);
        let delivery = match what {
            What::Key(key) => resource.invalidate(&key).await,
            What::Colour(colour) => resource.invalidate_tag(&tag(colour)).await.unwrap(),
            What::LoadedColour(colour) => {
                resource.invalidate_tag(&loaded_tag(colour)).await.unwrap()
            }
            What::Pattern(pattern) => resource.invalidate_matching(pattern).await.unwrap(),
            What::All => resource.invalidate_all().await,
            What::Expiry(key) => resource.expire(&key).await,
            What::Put(_) => unreachable!("put with a value"),
        };
        self.world.history.returned(changing, delivery);
    }

    async fn invalidate_everything(self) {
        let calls = |kind| self.world.history.calls(self.engine.number, kind, What::All);
        let changing = KINDS.map(calls);
        let delivery = Forewarm::invalidate_all(&self.engine.forewarm).await;
        for changing in changing {
            self.world.history.returned(changing, delivery);
        }
    }
}

/// What a reader accepts who accepts nothing that was there before.
const NEW: How = How { max_age: Some(std::time::Duration::ZERO), wants_fresh: true };
