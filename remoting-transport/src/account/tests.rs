use super::*;
use crate::ledger::Pool;

const MIB: usize = 1024 * 1024;

fn open(ledger: &Rc<Ledger>, group: &Rc<Group>) -> Rc<Account> {
    let account = Account::open(ledger.clone());
    account.join(group.clone());
    account
}

#[test]
fn everything_goes_back() {
    let ledger = Rc::<Ledger>::default();
    let account = open(&ledger, &Rc::default());
    let mut held = account.hold(MIB);
    held.resize(2 * MIB);
    account.forward(5);
    assert_eq!((account.held(), account.forwarded()), (2 * MIB + 5, 5));
    account.forwarded_all(5);
    drop(held);
    assert_eq!((account.held(), ledger.groups.get()), (0, 0));
    account.add(100 * MIB);
    drop(account);
    assert_eq!((ledger.held(), ledger.groups.get()), (0, 0));
}

#[test]
fn only_the_accounts_that_hold_most_are_restricted() {
    let ledger = Rc::<Ledger>::default();
    ledger.join(Pool::new(64 * MIB));
    let group = Rc::default();
    let greedy = open(&ledger, &group);
    let modest = open(&ledger, &group);
    modest.add(MIB);
    greedy.add(30 * MIB);
    assert!(!greedy.is_over_share(), "half of the limit is free for all");
    greedy.add(2 * MIB);
    assert!(greedy.is_over_share() && !modest.is_over_share());
    assert!(ledger.take_restricted() && !ledger.take_restricted());
    // It is checked again, because others may have freed memory by then.
    greedy.take(31 * MIB);
    assert!(greedy.take_stopped() && !greedy.take_stopped() && !modest.take_stopped());
    greedy.add(31 * MIB);
    let idle = open(&ledger, &group);
    greedy.add(64 * MIB);
    assert!(ledger.is_full() && !idle.is_over_share());
}

#[test]
fn many_clients_of_one_address_leave_others_their_share() {
    let ledger = Rc::<Ledger>::default();
    ledger.join(Pool::new(64 * MIB));
    let many = Rc::default();
    let all: Vec<_> = (0..2000).map(|_| open(&ledger, &many)).collect();
    all.iter().for_each(|one| one.add(17 * 1024));
    let other = open(&ledger, &Rc::default());
    other.add(12 * MIB);
    assert!(ledger.is_tight() && !other.is_over_share());
    assert!(all.iter().all(|one| one.is_over_share()));
    drop(all);
    assert_eq!(ledger.groups.get(), 1);
}

#[test]
fn workers_share_one_limit() {
    let pool = Pool::new(64 * MIB);
    let ledgers = [(); 4].map(|()| {
        let ledger = Rc::<Ledger>::default();
        ledger.join(pool.clone());
        ledger
    });
    let [here, there, ..] = &ledgers;
    // One worker may use what the others do not: a large frame passes whatever the number of
    // workers.
    let large = open(here, &Rc::default());
    large.add(30 * MIB);
    assert!(!large.is_over_share());
    let elsewhere = open(there, &Rc::default());
    elsewhere.add(10 * MIB);
    assert!(there.is_tight());
    there.publish();
    here.publish();
    assert!(here.is_tight() && large.is_over_share());
    elsewhere.add(20 * MIB);
    here.publish();
    let parts = [here.overdraft(), there.overdraft()];
    assert!(parts.iter().all(|part| *part > 0) && parts.iter().sum::<usize>() < 13 * MIB);
    drop(elsewhere);
    here.publish();
    assert!(!here.is_tight());
}

#[test]
fn many_small_ones_share() {
    let ledger = Rc::<Ledger>::default();
    ledger.join(Pool::new(64 * MIB));
    let group = Rc::default();
    let all: Vec<_> = (0..320).map(|_| open(&ledger, &group)).collect();
    let mut rounds = 0;
    while all.iter().any(|one| !one.is_over_share()) && rounds < 10_000 {
        for one in all.iter().filter(|one| !one.is_over_share()) {
            one.add(32 * 1024);
        }
        rounds += 1;
    }
    assert!(ledger.held() < 48 * MIB, "{} are held", ledger.held());
}
