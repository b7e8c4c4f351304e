//! A store's life: what is started when it is opened and ended when it is closed.

use std::sync::Arc;

use tokio::{
    sync::{Mutex, watch},
    task::JoinHandle,
};
use wardstead_engine::{Bus, Engine};
use wardstead_limits::{Clock, Rng, store as limits};

use crate::{
    Figures, OpenError, StoreError, TokenCodec,
    commit::Committer,
    epochs::{Epochs, SeenEpochs},
    herald,
    hint::Hint,
    lease::Leases,
    nodes::Beating,
    notify::Notifier,
    open,
    store::Inner,
    tail::Tail,
    watch::Watchers,
    window::Window,
    work::{Wakers, Workers},
};

/// Returns when `stop` says so, or when nobody is left to say it.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// The tasks of a store. Dropping the senders ends them.
pub(crate) struct Tasks {
    stop_committer: watch::Sender<bool>,
    committer: JoinHandle<()>,
    stop_news: watch::Sender<bool>,
    news: [(&'static str, JoinHandle<()>); 3],
}

impl Tasks {
    /// Finishes the commits that wait, then ends the tail and the talk with other nodes.
    pub(crate) async fn close(self) {
        drop(self.stop_committer);
        if self.committer.await.is_err() {
            tracing::error!("the committer ended badly");
        }
        self.stop_news.send_replace(true);
        for (name, task) in self.news {
            if task.await.is_err() {
                tracing::error!(name, "a task ended badly");
            }
        }
    }
}

/// Opens the data and starts committer, tail and the talk with other nodes on the current runtime.
pub(crate) async fn start(
    engine: Arc<dyn Engine>,
    bus: Arc<dyn Bus>,
    server_name: &str,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
) -> Result<Inner, OpenError> {
    // The position first: a change of epoch that this reading of the epoch misses is in the journal behind it.
    let newest = engine.position().await.map_err(StoreError::from)?;
    let epochs = Epochs::read(engine.as_ref(), newest).await.map_err(StoreError::from)?;
    let hint = Hint::new(newest);
    let wakers = Wakers::default();
    let incarnation = rng.next_u64();
    let figures = Figures::default();
    let (committer, entrance, stalled) = Committer::new(
        Arc::clone(&engine),
        incarnation,
        epochs.current(),
        hint.clone(),
        wakers.clone(),
        Arc::clone(&clock),
        figures.clone(),
    );
    let (stop_committer, stop) = watch::channel(false);
    let committer = tokio::spawn(committer.run(stop));
    let installation = open::installation(engine.as_ref(), &entrance, server_name, rng.as_ref()).await?;

    let window = Arc::new(Window::new(newest, limits::CHANGE_WINDOW_BYTES));
    let watchers = Arc::new(Watchers::default());
    let notifier = Arc::new(Notifier::new(figures.woken.clone()));
    let epochs = SeenEpochs::new(epochs);
    let (tail, reached) = Tail::new(
        Arc::clone(&engine),
        newest,
        Arc::clone(&window),
        Arc::clone(&watchers),
        Arc::clone(&notifier),
        epochs.clone(),
        hint.clone(),
    );
    let (stop_news, stop) = watch::channel(false);
    let heard = bus.subscribe();
    let news = [
        ("tail", tokio::spawn(tail.run(stop.clone()))),
        ("tell", tokio::spawn(herald::tell(Arc::clone(&bus), hint.clone(), hint.news(), stop.clone()))),
        ("hear", tokio::spawn(herald::hear(heard, reached.watch(), hint.clone(), wakers.clone(), stop))),
    ];
    let tasks = Tasks { stop_committer, committer, stop_news, news };
    Ok(Inner {
        leases: Leases::new(Arc::clone(&engine), Arc::clone(&clock), incarnation),
        incarnation,
        wakers,
        workers: Workers::default(),
        beating: Beating::default(),
        tokens: TokenCodec::new(&installation.token_key),
        server_name: installation.server_name,
        ids: Mutex::default(),
        engine,
        bus,
        entrance,
        stalled,
        figures,
        hint,
        reached,
        watchers,
        window,
        notifier,
        epochs,
        clock,
        rng,
        tasks: parking_lot::Mutex::new(Some(tasks)),
    })
}
