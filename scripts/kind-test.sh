#!/usr/bin/env bash
# The suite of `make cluster-test` on a kind cluster that is made for it and removed after. Without Docker: exit code 2.
set -euo pipefail
cd "$(dirname "$0")/.."
name=portcullis-test-$$
image=portcullis:0.1.0

missing=()
for tool in docker kind kubectl; do command -v "$tool" >/dev/null || missing+=("there is no $tool"); done
docker info >/dev/null 2>&1 || missing+=('no Docker daemon answers')
if [ ${#missing[@]} -gt 0 ]; then
  printf 'kind-test: not run: %s\n' "${missing[@]}" >&2
  exit 2
fi

work=$(mktemp -d)
trap 'kind delete cluster --name "$name" >/dev/null 2>&1; rm -rf "$work"' EXIT
docker build -t "$image" .
kind create cluster --name "$name" --kubeconfig "$work/kubeconfig" --wait 120s
kind load docker-image "$image" --name "$name"

node=$name-control-plane
manifest=/etc/kubernetes/manifests/kube-apiserver.yaml
export CLUSTER_STOP_API="docker exec $node mv $manifest /etc/kubernetes/kube-apiserver.yaml"
export CLUSTER_START_API="docker exec $node mv /etc/kubernetes/kube-apiserver.yaml $manifest"
export CLUSTER_STOP_KUBELET="docker exec $node systemctl stop kubelet"
export CLUSTER_START_KUBELET="docker exec $node systemctl start kubelet"
export KUBECONFIG=$work/kubeconfig
npm run --silent test:cluster
