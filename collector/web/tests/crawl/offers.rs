//! No page offers what its reader may not: each link and each form that a role is shown leads somewhere.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use upheld_desk::{
    Role,
    roles::{Action, may},
};

use crate::house::{Asker, House, OWN};

#[tokio::test]
async fn no_page_offers_a_role_what_it_may_not() {
    for role in Role::ALL {
        let house = House::open().await;
        let asker = house.person(*role).await;
        let begin = house.ask(&asker, "GET", "/", "").await.headers["location"].to_str().unwrap().to_owned();
        let expected = if role.is_of_a_client() { format!("/c/{}", OWN.0) } else { "/queue".to_owned() };
        assert_eq!(begin, expected, "{role} begins there");
        let forms = walked(&house, &asker, begin).await;
        assert_eq!(forms.contains("/agents"), may(*role, Action::Agents), "{role}: {forms:?}");
        let is_offered = |name: &str| forms.iter().any(|form| form.starts_with("/i/") && form.ends_with(name));
        for command in ["respond", "note", "dismiss", "set-priority"] {
            let may_give = may(*role, Action::Give(command));
            assert_eq!(is_offered(&format!("/{command}")), may_give, "{role} {command}: {forms:?}");
        }
        for form in forms.iter().filter(|form| *form != "/out") {
            let body = format!("place={}/{}&text=hello&note=hello", OWN.0, OWN.1);
            let answer = house.ask(&asker, "POST", form, &body).await;
            let is_refused = matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
            assert!(!is_refused, "{role} is offered {form}: {}", answer.status);
        }
    }
}

/// Follows every link that there is, and gives the forms that were seen.
async fn walked(house: &House, asker: &Asker, begin: String) -> BTreeSet<String> {
    let (mut seen, mut next, mut forms) = (BTreeSet::new(), vec![begin], BTreeSet::new());
    while let Some(path) = next.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        assert!(seen.len() < 500, "pages that lead to ever more pages: {seen:?}");
        let answer = house.ask(asker, "GET", &path, "").await;
        let is_there = matches!(answer.status, StatusCode::OK | StatusCode::SEE_OTHER);
        assert!(is_there, "{} is led to {path}: {}", asker.name, answer.status);
        let links = quoted(&answer.body, "href=\"");
        next.extend(links.filter(|href| href.starts_with('/')).map(|href| href.replace("&amp;", "&")));
        forms.extend(answer.body.split("<form").skip(1).filter_map(|form| {
            let tag = form.split('>').next()?;
            tag.contains("method=\"post\"").then(|| quoted(tag, "action=\"").next())?
        }));
    }
    assert!(seen.len() > 5, "{}: {seen:?}", asker.name);
    forms
}

/// What stands in quotes after each of these, without its fragment.
fn quoted(text: &str, before: &'static str) -> impl Iterator<Item = String> {
    let found = text.split(before).skip(1).filter_map(|rest| rest.split(['"', '#']).next());
    found.map(ToOwned::to_owned)
}
