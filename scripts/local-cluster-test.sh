#!/usr/bin/env bash
# The suite of `make cluster-test` on a cluster that is made for it and taken down after: the one-node Kubernetes of
# ../shared/tools/cluster, which needs root, but neither Docker nor a registry.
#   scripts/local-cluster-test.sh [jest arguments]
# Parameters (environment): KLAB_DIR, KLAB_BIN as those tools take them; built binaries and images there are used again.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=../shared/tools/cluster
[ -x "$tools/up.sh" ] || { echo "local-cluster-test: there is no $tools" >&2; exit 2; }
tools=$(cd "$tools" && pwd)

export KLAB_DIR=${KLAB_DIR:-${TMPDIR:-/tmp}/portcullis-cluster/lab}
export KLAB_BIN=${KLAB_BIN:-$HOME/.cache/klab-bin}
mkdir -p "$(dirname "$KLAB_DIR")"
exec 8>"$KLAB_DIR.lock"
flock --nonblock 8 || { echo "local-cluster-test: a run in $KLAB_DIR is under way" >&2; exit 2; }

# Whatever ends this script, a signal too, takes the cluster down.
child=
finish() {
  trap '' INT TERM HUP
  [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true
  wait
  timeout --kill-after=5 60 "$tools/down.sh"
  # An image whose making was cut short leaves mounts.
  awk -v under="$KLAB_DIR/buildah" 'index($5, under) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r -n1 umount
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
within() { # SECONDS COMMAND…
  timeout --kill-after=30 "$@" 8>&- &
  child=$!
  local code=0
  wait "$child" || code=$?
  child=
  [ "$code" -ne 124 ] || echo "local-cluster-test: $2 took longer than $1 seconds" >&2
  return "$code"
}

within 2400 "$tools/up.sh"
for image in base envoy redis; do within 900 "$tools/image.sh" "$image" >/dev/null; done
base=docker.io/library/node:22-bookworm-slim
within 900 "$tools/image.sh" build . docker.io/library/portcullis:0.1.0 --format docker --build-arg "BASE=$base" >/dev/null

# The node starts again whatever of it ends: first that is held, then the process is ended.
node() { printf '%q sh -c %q' "$KLAB_DIR/enter" "$1"; }
stop() {
  node "pid=\$(pgrep -xo $1); parent=\$(ps -o ppid= -p \$pid | tr -d ' '); echo \$parent >/run/held-$1; kill -STOP \$parent; kill -KILL \$pid"
}
start() { node "kill -CONT \$(cat /run/held-$1)"; }
CLUSTER_STOP_API=$(stop kube-apiserver) CLUSTER_START_API=$(start kube-apiserver)
CLUSTER_STOP_KUBELET=$(stop kubelet) CLUSTER_START_KUBELET=$(start kubelet)
export CLUSTER_STOP_API CLUSTER_START_API CLUSTER_STOP_KUBELET CLUSTER_START_KUBELET
export KUBECONFIG=$KLAB_DIR/kubeconfig PATH=$KLAB_BIN:$PATH
within 1800 npm run --silent test:cluster -- "$@"
