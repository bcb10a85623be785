# frozen_string_literal: true

# `cluster` in recipes: the other nodes of this cluster. Who asks for nodes gets those that the host knows.
class CycleCloudCluster
  def self.of_run = new(Chef.node)

  def initialize(node = nil) = @given = node

  # Old libraries keep a cluster from before there is a node.
  def node = @given || Chef.node

  # Nodes that made themselves known, with all their attributes. `:recipe`, `:role` and attributes choose among them;
  # `:singular` wants exactly one, and is what the error says if there is another number.
  def search(options = {}, clusterUID: nil, **more, &block)
    options = options.merge(more)
    nodes = Jetpack.call('cluster_nodes').map { |one| Mash.new(one) }
    nodes = nodes.select { |one| Array(one['recipes']).include?(options[:recipe].to_s) } if options[:recipe]
    nodes = nodes.select { |one| Array(one['roles']).include?(options[:role].to_s) } if options[:role]
    nodes = nodes.select { |one| one.dig('cyclecloud', 'is_scheduler') == options[:is_scheduler] } if options.key?(:is_scheduler)
    nodes = nodes.select(&block) if block
    return nodes unless options[:singular]
    raise options[:singular].to_s unless nodes.size == 1

    nodes.first
  end

  def store_discoverable(attributes = nil)
    attributes = attributes ? JSON.parse(attributes) : node.to_hash
    Jetpack.call('store_discoverable', attributes)
    true
  end

  def scheduler = scheduler_node&.then { |one| one['hostname'] || one['fqdn'] || one['ipaddress'] }
  def scheduler_ip = scheduler_node&.then { |one| one.dig('cyclecloud', 'instance', 'ipv4') || one['ipaddress'] }
  def blackboard_config = Mash.new(node.read('cyclecloud', 'config') || {})
  def name = node.read('cyclecloud', 'cluster', 'name')
  alias cluster_name name
  def id = node.read('cyclecloud', 'cluster', 'id') || name

  private

  def scheduler_node = search.find { |one| Array(one['roles']).any? { |role| role.include?('scheduler') } || one.dig('cyclecloud', 'is_scheduler') }
end

class Chef
  class Recipe
    # Where old libraries look for it.
    @@cluster = CycleCloudCluster.new
  end
end
