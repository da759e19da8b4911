#!/usr/bin/env bash
# Certificates, keys and tokens of the example mesh, as Secrets of the cluster that kubectl talks to. For trying it out:
# the authority's key is thrown away, and what it signed runs out after a day. Needs openssl 3 and bash.
#   examples/mesh/make-secrets.sh
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
umask 077

authority() { # NAME COMMON-NAME [subjectAltName]
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout "$1.key" -out "$1.pem" \
    -subj "/O=Example/CN=$2" -addext 'keyUsage=critical,keyCertSign,cRLSign' ${3:+-addext "subjectAltName=$3"} 2>/dev/null
}
issue() { # NAME AUTHORITY subjectAltName
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/O=Example" 2>/dev/null
  printf '%s\n' "subjectAltName=critical,$3" 'basicConstraints=critical,CA:false' 'keyUsage=critical,digitalSignature' \
    'extendedKeyUsage=serverAuth,clientAuth' 'authorityKeyIdentifier=keyid' >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -days 1 -extfile "$1.ext" -out "$1.pem" 2>/dev/null
}
put() { # KIND NAMESPACE NAME ARGUMENTS…
  local kind=$1 namespace=$2 name=$3
  shift 3
  kubectl create $kind "$name" -n "$namespace" --dry-run=client -o yaml "$@" | kubectl apply --server-side --force-conflicts -f -
}
svid() { # NAMESPACE NAME SECRET: the identity spiffe://cluster.local/ns/NAMESPACE/sa/NAME
  issue "$2" mesh "URI:spiffe://cluster.local/ns/$1/sa/$2"
  put 'secret generic' "$1" "$3" --from-file=svid.pem="$2.pem" --from-file=svid.key="$2.key" --from-file=bundle.pem=mesh.pem
}
token() { openssl rand -hex 32; }

authority mesh 'Example mesh' URI:spiffe://cluster.local
svid portcullis-system portcullis portcullis-tls
for service in user order payment inventory email checkout admin database cache; do
  svid shop "$service-service" "$service-service-svid"
done
svid edge gateway gateway-svid

# What users see, and what Redis shows: of other authorities, which no workload believes.
authority web 'Example web'
issue shop.example.com web DNS:shop.example.com
put 'secret tls' edge gateway-web --cert=shop.example.com.pem --key=shop.example.com.key
authority redis 'Example Redis'
issue portcullis-redis redis DNS:portcullis-redis
token | tr -d '\n' >password
rights='+eval +evalsha +get +set +exists +pttl +pexpireat +hgetall +hget +hscan +hset +hdel +del +time +info +publish +subscribe +ping +wait'
printf 'user default off\nuser portcullis on #%s ~portcullis:* &portcullis:* %s\n' \
  "$(openssl dgst -sha256 -r password | cut -d' ' -f1)" "$rights" >users.acl
put 'secret generic' portcullis-system portcullis-redis --from-file=password --from-file=users.acl \
  --from-file=tls.crt=portcullis-redis.pem --from-file=tls.key=portcullis-redis.key --from-file=ca.crt=redis.pem

# Those who sign service tokens: Portcullis gets the public key, the service keeps the other.
for service in checkout order; do
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$service-token.key" 2>/dev/null
  openssl pkey -in "$service-token.key" -pubout -out "$service-service.pem"
  put 'secret generic' shop "$service-service-token-key" --from-file=token.key="$service-token.key"
done
put configmap portcullis-system portcullis-token-keys --from-file=checkout-service.pem --from-file=order-service.pem

for name in oscar rita idp; do token >"$name.token"; done
put 'secret generic' portcullis-system portcullis-admin --from-file=oscar.token --from-file=rita.token
put 'secret generic' portcullis-system portcullis-ssf --from-file=idp.token
