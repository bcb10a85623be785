# frozen_string_literal: true

class Chef
  # Resources in the order in which they run.
  class ResourceCollection
    include Enumerable

    def initialize
      @list = []
      @by_key = {}
      @position = nil
    end

    # Puts a resource behind the one that is running, or at the end.
    def insert(resource, resource_type: nil, instance_name: nil)
      if @position
        @list.insert(@position += 1, resource)
      else
        @list << resource
      end
      index(resource)
      resource
    end
    alias << insert
    alias push insert

    def index(resource)
      @by_key[resource.declared_key] = resource
      own = "#{resource.resource_name}[#{resource.name}]"
      @by_key[own] = resource unless own == resource.declared_key
    end

    def find_key(key) = @by_key[key]
    def find(*names, &block) = block ? super(&block) : Chef.run_context.lookup(*names)
    alias resources find
    def lookup(key) = find_key(key.to_s) || raise(Exceptions::ResourceNotFound, "Cannot find a resource matching #{key}")
    def each(&) = @list.each(&)
    alias each_resource each
    def all_resources = @list
    def [](index) = @list[index]
    def size = @list.size
    def empty? = @list.empty?
    def keys = @by_key.keys
    def to_a = @list.dup

    def delete(resource)
      resource = find_key(resource.to_s) unless resource.is_a?(Resource)
      @list.delete(resource)
      @by_key.delete_if { |_, known| known.equal?(resource) }
      resource
    end

    # Runs through it; what is declared meanwhile runs right after the resource that declares it.
    def execute_each_resource
      index = 0
      while index < @list.size
        @position = index
        yield @list[index]
        index += 1
      end
    ensure
      @position = nil
    end
  end
end
