#!/usr/bin/python3
"""smtp.py WORKDIR PORT [--tls starttls|implicit] [--cert FILE --key FILE] [--auth USER:PASSWORD] [--only PLAIN|LOGIN]

A real mail server (aiosmtpd) on 127.0.0.1:PORT that keeps what it takes. WORKDIR/behave says how it behaves, read at each
message; without the file it takes everything:

    rcpt ADDRESS 550 5.1.1 no such user     refuses this receiver
    data 450 4.3.0 busy                     answers so to the content
    drop                                    closes the line in the middle of the content
    lose                                    keeps the content and closes the line without an answer
    hang                                    takes the content and never answers

Each message whose content came is a line of WORKDIR/tried.jsonl with what was answered; each that was taken (and with `lose`
and `hang` each that was kept) is a line of WORKDIR/mails.jsonl as Python's own mail parser reads it.
"""
import argparse
import asyncio
import email
import email.policy
import json
import os
import ssl

from aiosmtpd.smtp import SMTP, AuthResult

arguments = argparse.ArgumentParser()
arguments.add_argument("work")
arguments.add_argument("port", type=int)
arguments.add_argument("--tls", choices=["starttls", "implicit"])
arguments.add_argument("--cert")
arguments.add_argument("--key")
arguments.add_argument("--auth")
arguments.add_argument("--only")
said = arguments.parse_args()


def behave():
    try:
        with open(os.path.join(said.work, "behave"), encoding="utf-8") as file:
            return [line.strip() for line in file if line.strip()]
    except FileNotFoundError:
        return []


def note(name, what):
    with open(os.path.join(said.work, name), "a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


def keep(session, envelope):
    mail = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
    face = lambda kind: mail.get_body(preferencelist=(kind,))
    note("mails.jsonl", {
        "to": envelope.rcpt_tos,
        "sender": envelope.mail_from,
        "greeted_as": session.host_name,
        "tls": session.ssl is not None or said.tls == "implicit",
        "user": session.auth_data.decode() if session.authenticated else None,
        "headers": {name: str(value) for name, value in mail.items()},
        "defects": [str(defect) for part in mail.walk() for defect in part.defects],
        "parts": [part.get_content_type() for part in mail.walk()],
        "text": face("plain").get_content() if face("plain") else None,
        "html": face("html").get_content() if face("html") else None,
        "raw": envelope.original_content.decode("utf-8", "replace"),
    })


class Keeper:
    async def handle_RCPT(self, server, session, envelope, address, options):
        for line in behave():
            word, _, rest = line.partition(" ")
            refused, _, answer = rest.partition(" ")
            if word == "rcpt" and refused == address:
                return answer
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        how = next((line for line in behave() if not line.startswith("rcpt ")), "")
        word, _, answer = how.partition(" ")
        name = email.message_from_bytes(envelope.original_content)["Message-ID"]
        note("tried.jsonl", {"to": envelope.rcpt_tos, "message_id": name, "answered": answer or word or "250"})
        if word == "data":
            return answer
        keep(session, envelope)
        if word == "lose":
            server.transport.abort()
        if word == "hang":
            await asyncio.sleep(3600)
        return "250 2.0.0 ok: queued as " + name.strip("<>").split("@")[0][-12:]


class Server(SMTP):
    async def smtp_DATA(self, arg):
        if "drop" not in behave():
            return await super().smtp_DATA(arg)
        await self.push("354 go on")
        await self._reader.readline()
        note("tried.jsonl", {"to": self.envelope.rcpt_tos, "message_id": None, "answered": "drop"})
        self.transport.abort()


def authenticated(server, session, envelope, mechanism, data):
    user, password = (part.decode() for part in (data.login, data.password))
    good = f"{user}:{password}" == said.auth
    note("logins.jsonl", {"mechanism": mechanism, "user": user, "good": good})
    # `handled=False`: the server answers 235 or 535 itself.
    return AuthResult(success=good, handled=False, auth_data=user.encode())


async def serve():
    context = None
    if said.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(said.cert, said.key)
    options = {"hostname": "sink.test", "timeout": 3600}
    if said.tls == "starttls":
        options.update(tls_context=context, require_starttls=True)
    if said.auth:
        every = {"PLAIN", "LOGIN"}
        options.update(
            authenticator=authenticated,
            auth_required=True,
            # The library knows of TLS by STARTTLS only.
            auth_require_tls=said.tls == "starttls",
            auth_exclude_mechanism=every - {said.only} if said.only else set(),
        )
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: Server(Keeper(), loop=loop, **options), "127.0.0.1", said.port,
        ssl=context if said.tls == "implicit" else None,
    )
    print(f"127.0.0.1:{said.port}", flush=True)
    await listening.serve_forever()


asyncio.run(serve())
