# frozen_string_literal: true

# What every node runs first.
timezone node['cyclecloud']['timezone'] if node.read('cyclecloud', 'timezone') && Chef::Resource.of(:timezone)

include_recipe 'cyclecloud::mounts'
include_recipe 'cyclecloud::exports'

# Projects notify it when programs have to see what recipes found out.
ruby_block 'dump node.json' do
  block { Jetpack.call('dump_node', node.to_hash) }
  action :nothing
end
