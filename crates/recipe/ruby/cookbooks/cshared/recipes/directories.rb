# frozen_string_literal: true

# The folders that schedulers and users expect on what all nodes share.
# The links and mounts come first, wherever they are in the run list.
%w[cshared::server cshared::client].each { |recipe| include_recipe recipe if Array(node['recipes']).include?(recipe) }

CShared::NAMES.each do |name|
  mountpoint = CShared.mountpoint(node, name)
  directory mountpoint do
    recursive true
    mode '0755'
    not_if { File.directory?(mountpoint) }
  end
end

directory node['cuser']['base_home_dir'] do
  recursive true
  mode '0755'
  not_if { File.directory?(node['cuser']['base_home_dir']) }
end
