//! One queue for all who listen.

use std::sync::Arc;

use jiff::SignedDuration;

use super::world::World;
use crate::Scope;

#[tokio::test]
async fn all_who_ask_in_one_second_share_the_queue_of_their_scope() {
    let world = World::new().await;
    let (now, second) = (world.now, SignedDuration::from_secs(1));
    let ask = async |scope: &Scope, at| world.desk.queue_of_the_moment(scope, at).await.unwrap();
    let (one, other) = tokio::join!(ask(&Scope::Provider, now), ask(&Scope::Provider, now));
    assert!(Arc::ptr_eq(&one, &other), "asked at once, computed once");
    let nearly = ask(&Scope::Provider, now + second * 9 / 10).await;
    assert!(Arc::ptr_eq(&one, &nearly));
    let client = Scope::Client("northgate".parse().unwrap());
    assert!(!Arc::ptr_eq(&one, &ask(&client, now).await), "another scope is another queue");
    let next = ask(&Scope::Provider, now + second).await;
    assert!(!Arc::ptr_eq(&one, &next) && next.as_of == now + second);
    let back = ask(&Scope::Provider, now - SignedDuration::from_hours(3)).await;
    assert!(!Arc::ptr_eq(&next, &back), "a clock that was set back shows nothing old");
}
