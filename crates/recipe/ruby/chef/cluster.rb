# frozen_string_literal: true

# `cluster` in recipes: the other nodes of this cluster. Who asks for nodes gets those that the host knows.
class CycleCloudCluster
  def self.of_run = new(Chef.node)

  def initialize(node = nil) = @given = node

  # Old libraries keep a cluster from before there is a node.
  def node = @given || Chef.node

  # Nodes that made themselves known, with all their attributes. `:recipe`, `:role` and attributes choose among them;
  # `:singular` wants exactly one, and is what the error says if there is another number.
  def search(options = {}, **more, &block)
    options = (options || {}).to_h.transform_keys(&:to_sym).merge(more)
    mine?(options.delete(:clusterUID))
    singular = options.delete(:singular)
    role, recipe = options.delete(:role)&.to_s, options.delete(:recipe)&.to_s
    nodes = Jetpack.call('cluster_nodes', [role, recipe]).map { |one| Mash.new(one) }
    nodes = nodes.select { |one| Array(one['roles']).include?(role) } if role
    nodes = nodes.select { |one| recipe?(one, recipe) } if recipe
    options.each { |key, value| nodes = nodes.select { |one| [one[key], one.dig('cyclecloud', key)].include?(value) } }
    nodes = nodes.select(&block) if block
    return nodes unless singular
    raise singular.to_s unless nodes.size == 1

    nodes.first
  end

  # Lets the other nodes know this one: its attributes, or those that are given as a Hash or as JSON.
  def store_discoverable(attributes = nil)
    attributes = JSON.parse(attributes) if attributes.is_a?(String)
    Jetpack.call('store_discoverable', (attributes || node).to_hash)
    true
  end

  def scheduler = scheduler_node&.then { |one| one['hostname'] || one['fqdn'] || one['ipaddress'] }
  def scheduler_ip = scheduler_node&.then { |one| one.dig('cyclecloud', 'instance', 'ipv4') || one['ipaddress'] }
  def blackboard_config = Mash.new(node.read('cyclecloud', 'config') || {})
  def name = node.read('cyclecloud', 'cluster', 'name')
  alias cluster_name name
  def id = node.read('cyclecloud', 'cluster', 'id') || name

  private

  # Nodes see their own cluster only.
  def mine?(uid)
    return if uid.nil? || [id, name].compact.map(&:to_s).include?(uid.to_s)

    raise ArgumentError, "cluster.search: `#{uid}` is another cluster; nodes see those of their own"
  end

  def recipe?(one, recipe)
    recipes = Array(one['recipes']).map { |name| name.to_s.include?('::') ? name.to_s : "#{name}::default" }
    recipes.include?(recipe.include?('::') ? recipe : "#{recipe}::default")
  end

  def scheduler_node = search.find { |one| Array(one['roles']).any? { |role| role.include?('scheduler') } || one.dig('cyclecloud', 'is_scheduler') }
end

class Chef
  class Recipe
    # Where old libraries look for it.
    @@cluster = CycleCloudCluster.new
  end
end
