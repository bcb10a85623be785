# frozen_string_literal: true

# Mounts and exports are made for every node, from `cyclecloud.mounts` and `cyclecloud.exports`.
