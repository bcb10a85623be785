#!/bin/sh
# Leaves a banner with the cluster, the node and whom to ask.
set -eu

jetpack download banner.txt "$CYCLECLOUD_BOOTSTRAP/banner.txt"
{
  echo "cluster: $(jetpack config cyclecloud.cluster.name)"
  echo "node:    $(jetpack config cyclecloud.node.name)"
  echo "owner:   $(jetpack config site.owner "nobody in particular")"
} >>"$CYCLECLOUD_BOOTSTRAP/banner.txt"
