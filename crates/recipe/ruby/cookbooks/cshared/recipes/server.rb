# frozen_string_literal: true

# This node has what the cluster shares: `/mnt/exports/{shared,sched}`, unless `cyclecloud.exports.builtin{shared,sched}` say otherwise.
CShared::NAMES.each do |name|
  next if CShared.disabled?(node, 'exports', name)

  path = CShared.section(node, 'exports', name)['export_path'] || CShared.export_path(name)
  directory path do
    recursive true
    mode '0755'
  end
  cyclecloud_export "builtin#{name}" do
    configuration({ 'type' => 'nfs', 'export_path' => path }.merge(CShared.section(node, 'exports', name).to_hash))
    not_if { CycleCloudConfiguration.true?(node.read('cshared', 'server', 'exports_disabled')) }
  end

  # The server uses it by the name that the others have for it.
  mountpoint = CShared.mountpoint(node, name)
  link mountpoint do
    to path
    not_if { CycleCloudConfiguration.true?(node['cshared']['server']['legacy_links_disabled']) }
    not_if { File.directory?(mountpoint) && !File.symlink?(mountpoint) }
  end
end

# Clients look for it.
cluster.store_discoverable unless CShared::NAMES.all? { |name| CShared.disabled?(node, 'exports', name) }
