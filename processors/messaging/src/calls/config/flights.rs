//! Questions in progress: one per name, shared by all calls that need its answer meanwhile.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tokio::sync::watch;

/// The questions in progress, by name.
#[derive(Debug)]
pub(super) struct Flights<V>(RefCell<HashMap<Rc<str>, watch::Receiver<Option<V>>>>);

impl<V> Default for Flights<V> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

/// A question in progress. Dropping it does not end the question.
#[derive(Debug)]
pub(super) struct Flight<V>(watch::Receiver<Option<V>>);

impl<V: Clone> Flight<V> {
    /// Waits for the answer; `None` if the question was given up, because the worker ends.
    pub(super) async fn outcome(mut self) -> Option<V> {
        let found = self.0.wait_for(Option::is_some).await.ok()?;
        found.clone()
    }
}

/// The duty to ask: dropping it gives the question up, so that no call waits in vain.
#[derive(Debug)]
pub(super) struct Duty<V> {
    flights: Rc<Flights<V>>,
    name: Rc<str>,
    answer: watch::Sender<Option<V>>,
}

impl<V> Duty<V> {
    /// The name that is asked about.
    pub(super) fn name(&self) -> &Rc<str> {
        &self.name
    }

    /// Ends the question: all calls that wait for it get the answer.
    pub(super) fn end(self, answer: V) {
        self.answer.send_replace(Some(answer));
    }
}

impl<V> Drop for Duty<V> {
    fn drop(&mut self) {
        self.flights.0.borrow_mut().remove(&self.name);
    }
}

impl<V> Flights<V> {
    /// The question about that name, if one is in progress.
    pub(super) fn find(&self, name: &str) -> Option<Flight<V>> {
        self.0.borrow().get(name).cloned().map(Flight)
    }

    /// The question about that name; with the duty to ask it, if none is in progress.
    pub(super) fn board(self: &Rc<Self>, name: &str) -> (Flight<V>, Option<Duty<V>>) {
        if let Some(flight) = self.find(name) {
            return (flight, None);
        }
        let name: Rc<str> = name.into();
        let (answer, flight) = watch::channel(None);
        self.0.borrow_mut().insert(name.clone(), flight.clone());
        let duty = Duty {
            flights: self.clone(),
            name,
            answer,
        };
        (Flight(flight), Some(duty))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_name_is_asked_about_once_although_calls_are_dropped() {
        let flights = Rc::<Flights<u32>>::default();
        let (first, duty) = flights.board("g");
        let (second, none) = flights.board("g");
        assert!(none.is_none());
        assert!(flights.board("h").1.is_some());
        // The call that asked first is dropped; the others still get the answer.
        drop(first);
        let third = flights.find("g").unwrap();
        duty.unwrap().end(7);
        assert_eq!(second.outcome().now_or_never(), Some(Some(7)));
        assert_eq!(third.outcome().now_or_never(), Some(Some(7)));
        assert!(flights.find("g").is_none());
    }

    #[test]
    fn no_call_waits_for_a_question_that_was_given_up() {
        let flights = Rc::<Flights<u32>>::default();
        let (flight, duty) = flights.board("g");
        drop(duty);
        assert_eq!(flight.outcome().now_or_never(), Some(None));
        assert!(flights.board("g").1.is_some());
    }
}
