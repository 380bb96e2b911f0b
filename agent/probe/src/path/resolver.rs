//! Whether a resolver answers: one question that every resolver can answer, for the name servers of the root.
//!
//! Twelve bytes of head and five of question (RFC 1035, 4.1); nothing of the answer is read but its head.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use tokio::net::UdpSocket;
use upheld_model::Outcome;

use crate::{deadline::Deadline, fault, udp};

/// A datagram may be lost: it is sent once more.
const AGAIN_AFTER: Duration = Duration::from_millis(800);
/// The root, type NS, class IN.
const QUESTION: [u8; 5] = [0, 0, 2, 0, 1];
/// RFC 1035, 4.1.1: the server could not do it.
const SERVFAIL: u8 = 2;

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resolved {
    /// It answered, and can look names up as far as is known.
    Answers {
        /// How long that took.
        took: Duration,
    },
    /// It says that it cannot look up anything, or nothing came.
    Fails,
    /// This host could not ask.
    NotAsked(String),
}

/// Asks one resolver at its port 53.
pub(super) async fn ask(resolver: IpAddr, deadline: Deadline) -> Resolved {
    ask_at(SocketAddr::new(resolver, 53), deadline).await
}

async fn ask_at(resolver: SocketAddr, deadline: Deadline) -> Resolved {
    let started = Instant::now();
    match deadline.bound(exchange(resolver)).await {
        Some(Ok(SERVFAIL)) | None => Resolved::Fails,
        Some(Ok(_)) => Resolved::Answers { took: started.elapsed() },
        // Nobody listens there, or a router says that there is no way; or it is a fault of this host.
        Some(Err(error)) => {
            let judged = fault::judge(&error, resolver.ip(), "asking the resolver");
            match judged.evidence {
                Some(why) if judged.outcome != Outcome::Bad => Resolved::NotAsked(why.to_string()),
                Some(_) | None => Resolved::Fails,
            }
        }
    }
}

/// The response code of the answer to our question.
async fn exchange(resolver: SocketAddr) -> std::io::Result<u8> {
    let socket = udp::connected(resolver.ip(), resolver.port()).await?;
    // Should the kernel give no random bytes: the port is random too.
    let id = getrandom::u32().unwrap_or_else(|_| std::process::id()).to_be_bytes();
    let (id, head) = ([id[0], id[1]], [id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let question: Vec<u8> = head.into_iter().chain(QUESTION).collect();
    loop {
        socket.send(&question).await?;
        if let Ok(answer) = tokio::time::timeout(AGAIN_AFTER, code(&socket, id)).await {
            return answer;
        }
    }
}

async fn code(socket: &UdpSocket, id: [u8; 2]) -> std::io::Result<u8> {
    let mut answer = [0; 512];
    loop {
        let read = socket.recv(&mut answer).await?;
        let is_ours = read >= 12 && answer[..2] == id && answer[2] & 0x80 != 0;
        if is_ours {
            return Ok(answer[3] & 0x0f);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_an_answer_unless_it_says_that_it_cannot() {
        for (code, answers) in [(0, true), (3, true), (5, true), (2, false)] {
            let (server, port) = server().await;
            let asking = ask_at(port, Deadline::after(Duration::from_secs(5)));
            let answering = async {
                let mut question = [0; 512];
                let (read, from) = server.recv_from(&mut question).await.unwrap();
                assert_eq!(question[2..read], [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]);
                let mut answer = question[..read].to_vec();
                server.send_to(&answer, from).await.unwrap();
                (answer[2], answer[3]) = (0x81, 0x80 | code);
                let mut others = answer.clone();
                others[0] = !others[0];
                server.send_to(&others, from).await.unwrap();
                server.send_to(&answer, from).await.unwrap();
            };
            let (resolved, ()) = tokio::join!(asking, answering);
            assert_eq!(matches!(resolved, Resolved::Answers { .. }), answers, "{code}: {resolved:?}");
        }
    }

    #[tokio::test]
    async fn a_lost_question_is_asked_again_and_silence_fails() {
        let (server, port) = server().await;
        let asking = ask_at(port, Deadline::after(Duration::from_millis(1_200)));
        let counting = async {
            let mut question = [0; 512];
            for _ in 0..2 {
                server.recv_from(&mut question).await.unwrap();
            }
        };
        let (resolved, ()) = tokio::join!(asking, counting);
        assert_eq!(resolved, Resolved::Fails);
        drop(server);
        assert_eq!(ask_at(port, Deadline::after(Duration::from_secs(5))).await, Resolved::Fails, "nobody listens");
    }

    async fn server() -> (UdpSocket, SocketAddr) {
        let server = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let port = server.local_addr().unwrap();
        (server, port)
    }
}
