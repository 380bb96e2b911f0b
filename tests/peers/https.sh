#!/usr/bin/env bash
# https.sh WORKDIR DAYS PORT [self]: what a real nginx needs to serve TLS on 127.0.0.1:PORT with a certificate of a test CA
# of its own that ends in DAYS (negative: it has ended). Again with other DAYS: a new certificate by the same CA.
# With `self` the certificate is signed by its own key, for another name, as devices do it.
# The caller starts nginx on WORKDIR/nginx.conf and ends it.
set -euo pipefail
mkdir -p "$1/new" "$1/www"
work=$(cd "$1" && pwd) days=$2 port=$3
cd "$work"
# Nothing of this machine's own configuration of openssl is read.
export OPENSSL_CONF=$work/openssl.cnf
cat >openssl.cnf <<CA
[req]
distinguished_name = names
x509_extensions = authority
[names]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[device]
basicConstraints = critical, CA:false
[ca]
default_ca = c
[c]
database = $work/index
serial = $work/serial
new_certs_dir = $work/new
default_md = sha256
policy = p
unique_subject = no
[p]
commonName = supplied
CA
key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
if [ ! -f ca.pem ]; then
    openssl req -x509 "${key[@]}" -days 3650 -subj "/CN=Upheld test CA" -keyout ca.key -out ca.pem 2>openssl.log
fi
openssl req "${key[@]}" -subj /CN=nvr.site.test -keyout key.pem -out csr.pem 2>openssl.log
printf 'subjectAltName=DNS:nvr.site.test,IP:127.0.0.1\n' >extensions
: >index
printf "%016x\n" "$(date +%s%N)" >serial
# Thirty days at least, so that one which has ended had begun.
begins=$(date -u +%Y%m%d%H%M%SZ -d "$((days < 2 ? days - 30 : -2)) days")
ends=$(date -u +%Y%m%d%H%M%SZ -d "$days days")
openssl ca -batch -config openssl.cnf -cert ca.pem -keyfile ca.key -in csr.pem -out cert.pem \
    -startdate "$begins" -enddate "$ends" -extfile extensions -notext 2>openssl.log
if [ "${4:-}" = self ]; then
    openssl req -x509 -key key.pem -days "$days" -subj "/CN=device" -extensions device -out cert.pem 2>openssl.log
fi
echo ok >www/health
[ -f htpasswd ] || : >htpasswd
cat >nginx.conf <<NGINX
daemon off;
master_process off;
pid $work/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3;
    uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
    server {
        listen 127.0.0.1:$port ssl;
        ssl_certificate $work/cert.pem;
        ssl_certificate_key $work/key.pem;
        root $work/www;
        location = /500 { return 500; }
        location = /private { auth_basic site; auth_basic_user_file $work/htpasswd; try_files /health =404; }
    }
}
NGINX
