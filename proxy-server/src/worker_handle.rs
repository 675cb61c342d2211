//! A worker as other threads see it.

use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use parking_lot::Mutex;
use thiserror::Error;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::listener_info::Accepted;
use crate::metrics::WorkerMetrics;
use crate::worker::{Order, Setup, State, Worker};

/// Accepted connections that may wait for a worker to take them.
const QUEUE: usize = 256;

/// How much processor time threads that help workers leave to these, as `nice` counts.
const HELPER_NICE: i32 = 10;

/// The worker has ended and answers nothing any more.
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
#[error("the worker has ended")]
pub(crate) struct Gone;

/// Starts a worker, and gives it clients and jobs.
pub(crate) struct WorkerHandle {
    clients: mpsc::Sender<Accepted>,
    orders: mpsc::UnboundedSender<Order>,
    state: Arc<State>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl fmt::Debug for WorkerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerHandle")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl WorkerHandle {
    /// Starts a worker.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        number: usize,
        setup: Setup,
        metrics: Arc<WorkerMetrics>,
    ) -> io::Result<Self> {
        let (clients, accepted) = mpsc::channel(QUEUE);
        let (orders, ordered) = mpsc::unbounded_channel();
        let state = Arc::new(State::default());
        let for_worker = state.clone();
        let thread = thread::Builder::new()
            .name(format!("remora-{number}"))
            .spawn(move || {
                // All further threads of a worker's runtime run what would block the worker for too
                // long.
                let runtime = Builder::new_current_thread()
                    .on_thread_start(yield_to_workers)
                    .enable_all()
                    .build_local(LocalOptions::default());
                match runtime {
                    Ok(runtime) => {
                        let worker = Rc::new(Worker::new(setup, metrics, for_worker));
                        runtime.block_on(worker.run(accepted, ordered));
                    }
                    Err(error) => warn!(%error, "a worker cannot start"),
                }
            })?;
        Ok(Self {
            clients,
            orders,
            state,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// How many clients it has, those in its queue included.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Counts up as long as the worker makes progress.
    pub(crate) fn ticks(&self) -> u64 {
        self.state.ticks.load(Ordering::Relaxed)
    }

    /// Gives it a client; waits while its queue is full.
    pub(crate) async fn send(&self, client: Accepted) {
        self.state.connections.fetch_add(1, Ordering::Relaxed);
        if self.clients.send(client).await.is_err() {
            self.state.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Runs a job on the worker's thread, and returns its answer. The job is queued at once, before
    /// the future is polled; it runs even if the future is dropped.
    ///
    /// All clients of the worker wait while a job runs. It must not block, and do no more than one
    /// pass over the worker's clients; what takes longer belongs into a task that the job spawns
    /// with `tokio::task::spawn_local`. A worker that is stuck answers late or never: the caller
    /// sets a time limit.
    ///
    /// # Errors
    /// When the worker ended before the job ran.
    pub(crate) fn ask<T, J>(
        &self,
        job: J,
    ) -> impl Future<Output = Result<T, Gone>> + Send + use<T, J>
    where
        T: Send + 'static,
        J: FnOnce(&Rc<Worker>) -> T + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.tell(move |worker| {
            // The caller may have stopped waiting.
            let _ = answer.send(job(worker));
        });
        async { answered.await.map_err(|_| Gone) }
    }

    /// Runs a job without an answer on the worker's thread; the same limits apply as to
    /// [`Self::ask`]. A worker that has ended drops it.
    pub(crate) fn tell(&self, job: impl FnOnce(&Rc<Worker>) + Send + 'static) {
        let _ = self.orders.send(Order::Run(Box::new(job)));
    }

    /// Makes the worker end after the jobs that are queued; [`Self::join`] waits for that.
    pub(crate) fn stop(&self) {
        let _ = self.orders.send(Order::Stop);
    }

    /// Blocks until it has ended.
    pub(crate) fn join(&self) {
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            warn!("a worker's thread panicked");
        }
    }
}

/// Gives the calling thread a lower priority than workers have: every client waits for a worker,
/// one client for this thread.
fn yield_to_workers() {
    // Where that is not possible, it competes with them.
    let _ = rustix::process::setpriority_process(None, HELPER_NICE);
}
