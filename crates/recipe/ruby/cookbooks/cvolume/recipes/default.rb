# frozen_string_literal: true

# The mounts are those of `cyclecloud.mounts`; `node.run_state[:mounts]` says which device each has.
include_recipe 'cyclecloud::mounts'
