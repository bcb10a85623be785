# frozen_string_literal: true

# The two folders that the nodes of a cluster share, and what the template says of them.
module CShared
  NAMES = %w[shared sched].freeze

  class << self
    def mountpoint(node, name) = node['cshared']['client']['defaults'][name]['mountpoint']
    def export_path(name) = "/mnt/exports/#{name}"

    # `cyclecloud.mounts.builtinshared` and so on.
    def section(node, kind, name) = node.read('cyclecloud', kind, "builtin#{name}").to_h
    def disabled?(node, kind, name) = CycleCloudConfiguration.true?(section(node, kind, name)['disabled'])
    def server?(node) = node.recipe?('cshared::server')
  end
end
