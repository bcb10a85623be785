# frozen_string_literal: true

# What every node runs first. Each part does what the configuration says, and nothing else.
timezone node['cyclecloud']['timezone'] if node.read('cyclecloud', 'timezone')

include_recipe 'cyclecloud::_hosts'
include_recipe 'cyclecloud::_packages'
include_recipe 'cyclecloud::mounts'
include_recipe 'cyclecloud::exports'
include_recipe 'cyclecloud::searchable' if CycleCloudConfiguration.true?(node.read('cyclecloud', 'discoverable'))

# Projects notify it when programs have to see what recipes found out.
ruby_block 'dump node.json' do
  block { Jetpack.call('dump_node', node.to_hash) }
  action :nothing
end
