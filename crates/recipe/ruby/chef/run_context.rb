# frozen_string_literal: true

class Chef
  # What a run knows: the node, cookbooks, resources and notifications. A custom resource has one of its own inside its parent's.
  class RunContext
    attr_reader :node, :cookbooks, :parent, :resource_collection
    attr_accessor :reboot_info
    alias collection resource_collection
    alias cookbook_collection cookbooks

    def initialize(node, cookbooks, parent = nil)
      @node = node
      @cookbooks = cookbooks
      @parent = parent
      @resource_collection = ResourceCollection.new
      @subscriptions = {}
      return if parent

      node.run_context = self
      @recipes = {}
      @attribute_files = {}
      @loaded = {}
      @delayed = []
      @deferred = []
    end

    def root = @parent ? @parent.root : self
    def root_run_context = root
    def parent_run_context = @parent
    def child = RunContext.new(@node, @cookbooks, self)
    alias create_child child
    def definitions = {}
    def events = nil
    def logger = Chef::Log
    def immediate_notification_collection = {}

    # Makes another context the current one.
    def within(context)
      before, Chef.run_context = Chef.run_context, context
      yield
    ensure
      Chef.run_context = before
    end

    def recipe_for(resource) = Recipe.new(resource.cookbook_name, resource.recipe_name, self)

    # --- cookbooks

    def cookbook!(name)
      cookbooks[name] or begin
        near = Jetpack.closest(name.to_s, cookbooks.names)
        raise Exceptions::CookbookNotFound, "there is no cookbook `#{name}` in #{cookbooks.folders.map { |folder| "`#{folder}`" }.join(', ')}" \
                                            "#{near && "; did you mean `#{near}`?"}"
      end
    end

    # Loads a cookbook and those that it depends on, once: all that stays the same for all its recipes.
    def load_cookbook(name, chain = [])
      return root.load_cookbook(name, chain) if parent

      name = name.to_s
      return if @loaded[name] == true
      if chain.include?(name)
        raise Exceptions::CircularDependency, "cookbooks depend on each other: #{[*chain, name].drop_while { |one| one != name }.join(' -> ')}"
      end

      cookbook = begin
        cookbook!(name)
      rescue Exceptions::CookbookNotFound => e
        raise if chain.empty?

        raise Exceptions::CookbookNotFound, "#{e.message} (cookbook `#{chain.last}` depends on it)"
      end
      check_versions(cookbook)
      cookbook.dependencies.each_key { |other| load_cookbook(other, [*chain, name]) }
      @loaded[name] = true
      cookbook.libraries.each { |file| Jetpack.load_library(file) }
      cookbook.attribute_files.each { |file| load_attributes(cookbook.name, file) }
      cookbook.resources.each { |file| load_resource(cookbook, file) }
      cookbook.providers.each { |file| load_provider(cookbook, file) }
      cookbook.definitions.each { |file| Jetpack.evaluate(Definition::File.new, file) }
    end

    def include_attribute(name, from = nil)
      return root.include_attribute(name, from) if parent

      name = "#{from}#{name}" if name.start_with?('::')
      cookbook, file = name.to_s.split('::', 2)
      version = cookbook!(cookbook)
      path = version.attribute_files.find { |one| File.basename(one, '.rb') == (file || 'default') }
      raise Exceptions::AttributeNotFound, "cookbook `#{cookbook}` has no attribute file `#{file || 'default'}`" unless path

      load_attributes(cookbook, path)
    end

    # --- recipes

    def include_recipes(names, from = nil) = names.flatten.map { |name| include_recipe(name, from) }.compact

    def include_recipe(name, from = nil)
      return root.include_recipe(name, from) if parent && root.equal?(Chef.run_context)

      name = name.to_s
      name = "#{from}#{name}" if name.start_with?('::')
      name = name.sub(/@[\d.]+\z/, '')
      cookbook, recipe = name.split('::', 2)
      recipe ||= 'default'
      key = "#{cookbook}::#{recipe}"
      return if root.loaded_recipe?(key)

      load_cookbook(cookbook)
      version = cookbook!(cookbook)
      file = version.recipe_file(recipe)
      unless file
        near = Jetpack.closest(recipe, version.recipes.map { |one| one.split('::').last })
        raise Exceptions::RecipeNotFound, "cookbook `#{cookbook}` has no recipe `#{recipe}`#{near && "; did you mean `#{near}`?"}"
      end
      root.mark_recipe(key)
      Recipe.new(cookbook, recipe, self).from_file(file)
      key
    end

    def loaded_recipe?(name)
      cookbook, recipe = name.to_s.split('::', 2)
      root.loaded_recipes_hash.key?("#{cookbook}::#{recipe || 'default'}")
    end
    def loaded_recipes = root.loaded_recipes_hash.keys
    def loaded_recipes_hash = @recipes
    def mark_recipe(key) = @recipes[key] = true

    # --- resources

    def lookup(*names)
      found = names.flatten.flat_map { |name| lookup_one(name) }
      found.size == 1 ? found[0] : found
    end
    alias find_resources lookup

    # By type and name, here or in a context around this one; nothing if there is none.
    def find_resource(type, name = nil)
      key = name.nil? ? type.to_s : "#{type}[#{name.is_a?(Array) ? name.join(', ') : name}]"
      context = self
      while context
        found = context.collection.find_key(key)
        return found if found

        context = context.parent
      end
      nil
    end

    def delete(resource)
      context = self
      context = context.parent until context.nil? || context.collection.to_a.include?(resource)
      context&.collection&.delete(resource)
    end

    # --- notifications

    def subscribe(source, notice)
      key = source.is_a?(Resource) ? source.declared_key : source.to_s
      (@subscriptions[key] ||= []) << notice
    end

    # The notices of a resource and of those that subscribed to it.
    def notices(resource, timings)
      own = resource.notification_list || []
      own += resource.before_list || []
      context = self
      while context
        subscribed = context.subscriptions_of(resource)
        own += subscribed if subscribed
        context = context.parent
      end
      own.select { |notice| timings.include?(notice.timing) }
    end

    def subscriptions_of(resource)
      return nil if @subscriptions.empty?

      keys = [resource.declared_key, "#{resource.resource_name}[#{resource.name}]"].uniq
      keys.flat_map { |key| @subscriptions[key] || [] }
    end

    def delay(notice, target)
      return root.delay(notice, target) if parent
      return if @delayed.any? { |_, other, action| other.equal?(target) && action == notice.action }

      @delayed << [notice, target, notice.action]
    end
    def next_delayed = @delayed.shift

    # --- deferred blocks

    def defer(resource) = parent ? root.defer(resource) : @deferred << resource
    def deferred? = !@deferred.empty?
    def take_deferred = @deferred.tap { @deferred = [] }

    def request_reboot(info) = root.reboot_info = info
    def reboot_requested? = !root.reboot_info.nil?

    private

    def load_attributes(cookbook, file)
      return if @attribute_files[file]

      @attribute_files[file] = true
      AttributeFile.new(node, cookbook, self).from_file(file)
    end

    def lookup_one(name)
      if name.is_a?(Hash)
        return name.flat_map { |type, names| Array(names).map { |one| lookup_one("#{type}[#{one}]") } }
      end
      name = name.to_s
      found = find_resource(name)
      return found if found
      if (list = name.match(/\A(\w+)\[(.+,.+)\]\z/))
        return list[2].split(/\s*,\s*/).map { |one| lookup_one("#{list[1]}[#{one}]") }
      end
      raise Exceptions::InvalidResourceSpecification, "`#{name}` names no resource: write 'type[name]'" unless name.match?(/\A\w+(\[.*\])?\z/m)

      near = Jetpack.closest(name, collection.keys + root.collection.keys)
      raise Exceptions::ResourceNotFound, "there is no resource `#{name}`#{near && "; did you mean `#{near}`?"}"
    end

    def load_resource(cookbook, file)
      base = File.basename(file, '.rb')
      default = base == 'default' ? cookbook.name : "#{cookbook.name}_#{base}"
      klass = Class.new(Resource).set_temporary_name("resource(#{default})")
      klass.instance_variable_set(:@jetpack_cookbook, cookbook.name)
      klass.resource_name(default.tr('-', '_'))
      Jetpack.evaluate_class(klass, file)
    end

    # LWRPs of old: the actions in a file of their own.
    def load_provider(cookbook, file)
      base = File.basename(file, '.rb')
      name = (base == 'default' ? cookbook.name : "#{cookbook.name}_#{base}").tr('-', '_')
      klass = Class.new(Provider::LWRPBase).set_temporary_name("provider(#{name})")
      Jetpack.evaluate_class(klass, file)
      Resource.of(name)&.provider_class = klass
    end

    def check_versions(cookbook)
      cookbook.dependencies.each do |name, constraints|
        other = cookbooks[name] or next
        constraints.flatten.each do |constraint|
          next if VersionConstraint.new(constraint).include?(other.version)

          raise Exceptions::CookbookVersionMismatch,
                "cookbook `#{cookbook.name}` depends on `#{name}` (#{constraint}), and there is version #{other.version}"
        end
      end
    end
  end
end
