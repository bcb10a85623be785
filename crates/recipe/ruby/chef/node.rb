# frozen_string_literal: true

class Chef
  # The node that is converged.
  class Node
    include Attributes
    attr_accessor :name, :run_state, :run_list, :chef_environment, :run_context, :policy_name, :policy_group
    alias environment chef_environment

    def initialize
      setup_attributes
      @run_state = {}
      @run_list = RunList.new
      @chef_environment = '_default'
    end

    def node = self
    def read(*path) = path.reduce(self) { |value, key| value.equal?(self) ? (value.key?(key) ? value[key] : (return nil)) : Node.step(value, key) { return nil } }
    alias dig read
    def read!(*path) = exist?(*path) ? read(*path) : raise(NoSuchAttribute, path.join('.'))
    def write(...) = raise(NoMethodError, 'write to a level: `node.default.write(...)`')

    def exist?(*path)
      return false unless key?(path.first)

      path.drop(1).reduce(self[path.first]) { |value, key| Node.step(value, key) { return false } }
      true
    end

    def fetch(key, *default)
      return self[key] if key?(key)
      return yield(key) if block_given?

      default.empty? ? raise(KeyError, "key not found: #{key.inspect}") : default[0]
    end

    def key?(key)
      key = key.name if key.is_a?(Symbol)
      Attributes::LEVELS.any? { |level| public_send(level).key?(key) }
    end
    alias attribute? key?
    alias has_key? key?
    alias include? key?

    def keys = merged_attributes.keys
    def each(&) = merged_attributes.each(&)
    alias each_pair each
    alias each_attribute each
    def to_hash = merged_attributes.to_hash.merge('name' => name, 'chef_environment' => chef_environment)
    alias to_h to_hash
    alias as_hash to_hash
    def to_json(*arguments) = JSON.generate(to_hash, *arguments)
    def to_s = "node[#{name}]"
    def inspect = "<Chef::Node #{name}>"
    def for_json = to_hash

    def platform?(*names) = names.flatten.any? { |name| name.to_s == self['platform'].to_s }
    def platform_family?(*names) = names.flatten.any? { |name| name.to_s == self['platform_family'].to_s }
    def recipe?(name) = run_context.loaded_recipe?(name) || Array(self['recipes']).include?(name.to_s)
    def role?(name) = Array(self['roles']).include?(name.to_s)
    def recipe_list = Array(self['recipes'])
    def run_list?(item) = run_list.include?(item)
    def in_tier?(*names) = names.flatten.include?(chef_environment)
    # The list itself: cookbooks add to it and delete from it.
    def tags
      normal['tags'] = [] unless normal['tags'].is_a?(Array)
      changed('tags')
      normal['tags']
    end

    def tag(*names) = tags.concat(names.map(&:to_s) - tags)
    def save(*) = self
    def loaded_recipes = run_context.loaded_recipes
    def include_attribute(...) = run_context.include_attribute(...)
    def public_ip = self['ipaddress']
    def cookbook_collection = run_context.cookbooks

    # Attributes from before Chef 13: `node.fqdn`.
    def method_missing(name, *arguments)
      return super unless arguments.empty? && key?(name)

      Chef.deprecated(:method_access, "attribute `#{name}` is read by a method; write node['#{name}']")
      self[name]
    end

    def respond_to_missing?(name, all = false) = key?(name) || super
  end
end
