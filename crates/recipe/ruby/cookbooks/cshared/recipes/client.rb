# frozen_string_literal: true

# This node mounts what the cluster shares, unless `cyclecloud.mounts.builtin{shared,sched}` say otherwise.
wanted = CShared.server?(node) ? [] : CShared::NAMES.reject { |name| CShared.disabled?(node, 'mounts', name) }

unless wanted.empty?
  section = wanted.to_h { |name| [name, CShared.section(node, 'mounts', name).to_hash] }
  server = nil
  if wanted.any? { |name| section[name]['address'].to_s.empty? }
    servers = cluster.search(recipe: 'cshared::server')
    if servers.empty?
      raise 'no node with `cshared::server` has made itself known yet; a cluster without one sets ' \
            '`disabled = true` in [[[configuration cyclecloud.mounts.builtinshared]]] and in builtinsched'
    end
    server = servers.first
  end
  wanted.each do |name|
    cyclecloud_mount "builtin#{name}" do
      defaults = { 'type' => 'nfs', 'mountpoint' => CShared.mountpoint(node, name), 'export_path' => CShared.export_path(name) }
      configuration defaults.merge(section[name])
      address server.dig('cyclecloud', 'instance', 'ipv4') || server['ipaddress'] if section[name]['address'].to_s.empty?
    end
  end
end
