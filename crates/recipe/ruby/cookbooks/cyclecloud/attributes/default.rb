# frozen_string_literal: true

default['jetpack']['downloads'] = File.join(Chef::Config[:file_cache_path] || '/tmp', 'jetpack/downloads')
default['cyclecloud']['cookbooks']['version'] = '8.0.0'
default['cyclecloud']['jetpack']['executable'] = Chef::Config[:jetpack] if Chef::Config[:jetpack]
default['thunderball']['storedir'] = File.join(Chef::Config[:file_cache_path] || '/tmp', 'thunderballs')
default['cuser']['base_home_dir'] = '/shared/home'
default['cshared']['client']['defaults']['sched']['mountpoint'] = '/sched'
default['cshared']['client']['defaults']['shared']['mountpoint'] = '/shared'
