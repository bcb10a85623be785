# frozen_string_literal: true

# `cyclecloud.mounts.*`: what the template wants mounted. A section without a type and an address is of the cluster's own server.
(node.read('cyclecloud', 'mounts') || {}).each do |name, section|
  next unless section.is_a?(Hash)

  cyclecloud_mount name do
    configuration section.to_hash
    if section['type'].to_s == 'nfs' && section['address'].to_s.empty? && section['cluster_name'].to_s.empty?
      address lazy { cluster.scheduler_ip || cluster.scheduler }
    end
  end
end
