# frozen_string_literal: true

# `cyclecloud.mounts.*`, over `cyclecloud.mount_defaults`: what the template wants mounted. A section of a server without an address is of the cluster's own.
CycleCloudConfiguration.sections(node.read('cyclecloud', 'mounts'), node.read('cyclecloud', 'mount_defaults')).each do |name, section|
  # Those of cshared are made by its own recipe, which knows the server.
  next if section['type'].nil? && %w[builtinshared builtinsched].include?(name)

  cyclecloud_mount name do
    configuration section.to_hash
    if %w[nfs nfs3 nfs4].include?(section['type'].to_s) && section['address'].to_s.empty? && section['cluster_name'].to_s.empty?
      address lazy { cluster.scheduler_ip || cluster.scheduler }
    end
  end
end
