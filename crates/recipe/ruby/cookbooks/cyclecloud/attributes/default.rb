# frozen_string_literal: true

default['jetpack']['downloads'] = File.join(Chef::Config[:file_cache_path] || '/tmp', 'jetpack/downloads')
default['cyclecloud']['cookbooks']['version'] = '8.0.0'
default['cyclecloud']['jetpack']['executable'] = Chef::Config[:jetpack] if Chef::Config[:jetpack]

# Where a plug-in hears of this node.
default['cyclecloud']['service_status']['routing_key'] = [node.read('cyclecloud', 'cluster', 'name'), node.read('cyclecloud', 'node', 'id')].compact.join('.')

# What projects read of cookbooks without depending on them.
default['thunderball']['storedir'] = File.join(Chef::Config[:file_cache_path] || '/tmp', 'thunderballs')
default['cuser']['base_home_dir'] = '/shared/home'
default['cshared']['client']['defaults']['sched']['mountpoint'] = '/sched'
default['cshared']['client']['defaults']['shared']['mountpoint'] = '/shared'
default['cshared']['server']['legacy_links_disabled'] = false
default['jdk']['home'] = platform_family?('debian') ? '/usr/lib/jvm/default-java' : '/usr/lib/jvm/java'
