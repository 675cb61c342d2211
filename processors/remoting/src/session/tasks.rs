//! Requests that are served in tasks of their own.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;

use super::request::Request;
use super::{Session, TASK_WORK};
use crate::error::ProcessError;

/// The most tasks that one client may have at a time. The memory that they keep is charged to the
/// client, but their work is not.
pub(super) const TASKS_MAX: usize = 256;

/// The memory of a task in addition to its request, in bytes.
const TASK_BYTES: usize = 1024;

impl Session {
    /// Serves a request in a task of its own. The request is kept, counts as outstanding meanwhile,
    /// and is answered with the error that the task ends with.
    pub(crate) fn spawn<F>(
        self: &Rc<Self>,
        request: Request,
        serve: impl FnOnce(Rc<Self>, Request) -> F,
    ) where
        F: Future<Output = Result<(), ProcessError>> + 'static,
    {
        let session = self.clone();
        let held = self.account().hold(request.len() + TASK_BYTES);
        let served = serve(self.clone(), request.clone());
        session.begin();
        session.tasks.set(session.tasks.get() + 1);
        session.work(TASK_WORK);
        tokio::task::spawn_local(async move {
            let _held = held;
            let served = {
                let mut served = pin!(served);
                poll_fn(|cx| {
                    session.upstream.buffers().stamp();
                    served.as_mut().poll(cx)
                })
                .await
            };
            session.end_task();
            session.end();
            if let (Err(error), Ok(view)) = (served, request.view()) {
                session.refuse(&request.incoming(&view), &error);
            }
            session.leave_behind_answer();
        });
    }

    fn end_task(&self) {
        let before = self.tasks.get();
        self.tasks.set(before.saturating_sub(1));
        if before == TASKS_MAX {
            self.outbox.wake();
        }
    }
}
