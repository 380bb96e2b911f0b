//! The collector's own sign of life to an address of the provider's choice: a dead-man's switch, as healthchecks.io and
//! its kin offer it (DETECTION 4.10). One POST without a body; any 2xx is an answer. Guarded as webhooks are (SECURITY 31).

use std::time::Duration;

use url::Url;

use super::webhook::{HostRule, answer, client, host_of, tls};

/// One beat; it ends within `timeout`. `Err` says in words why nobody took it, and never shows the path, which is a
/// secret of its own.
pub async fn beat(url: &Url, host: HostRule, timeout: Duration) -> Result<(), String> {
    let name = host_of(url);
    if url.scheme() != "https" && !(url.scheme() == "http" && host == HostRule::PrivateAllowed) {
        return Err(format!(
            "the heartbeat to {name} must begin with https://; http:// is taken only for this host itself, and only when \
             it is listed in webhook_private_hosts"
        ));
    }
    let tls = tls(Vec::new()).map_err(|error| format!("TLS for {name} cannot be set up: {error}"))?;
    let client = client(url, host, timeout, tls).await.map_err(|refusal| refusal.to_string())?;
    match client.post(url.clone()).send().await {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("{name} answered with {}", response.status())),
        Err(error) => Err(format!("{name} did not answer: {}", answer::in_words(&error))),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    async fn answered(status: &'static str, host: HostRule) -> (Result<(), String>, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ping/secret", listener.local_addr().unwrap()).parse().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let read = stream.read(&mut request).await.unwrap();
            stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..read]).starts_with("POST /ping/secret ")
        });
        let told = beat(&url, host, SOON).await;
        let was_asked = server.is_finished() || told.is_ok() || host == HostRule::PrivateAllowed;
        let is_post = if was_asked { server.await.unwrap() } else { false };
        (told, is_post)
    }

    #[tokio::test]
    async fn any_2xx_is_an_answer_and_nothing_else_is() {
        assert_eq!(answered("200 OK", HostRule::PrivateAllowed).await, (Ok(()), true));
        assert_eq!(answered("204 No Content", HostRule::PrivateAllowed).await, (Ok(()), true));
        for status in ["302 Found", "404 Not Found", "503 Service Unavailable"] {
            let (told, is_post) = answered(status, HostRule::PrivateAllowed).await;
            let why = told.unwrap_err();
            assert!(is_post && why.contains(&status[..3]) && !why.contains("secret"), "{why}");
        }
    }

    #[tokio::test]
    async fn security_31_a_heartbeat_to_this_host_must_be_allowed() {
        let (told, _) = answered("200 OK", HostRule::Public).await;
        assert!(told.unwrap_err().contains("webhook_private_hosts"));
        let private = beat(&"https://127.0.0.1:9/x".parse().unwrap(), HostRule::Public, SOON).await;
        assert!(private.unwrap_err().contains("this host itself"));
    }
}
