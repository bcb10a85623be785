# frozen_string_literal: true

class Chef
  # Runs resources.
  module Runner
    @depth = 0
    @dry_run = false
    class << self
      attr_reader :depth, :failed_resource

      def dry_run? = @dry_run
      attr_writer :dry_run

      # All of a collection, in order, each with all its actions.
      def converge(collection)
        collection.execute_each_resource do |resource|
          resource.action.each { |action| run_action(resource, action) }
        end
      end

      # One action. Returns nothing; the resource knows whether it was updated.
      def run_action(resource, action, notifier = nil, timing = nil)
        return skipped(resource, action, 'action :nothing') if action == :nothing

        resource.unknown_action(action) unless resource.class.allowed_actions.include?(action)
        was = resource.updated
        resource.updated = false
        attempts = 0
        begin
          if (guard = resource.guards&.find { |one| !one.pass? })
            return skipped(resource, action, guard)
          end
          before_notices(resource, action)
          perform(resource, action)
        rescue StandardError, ScriptError => e
          raise if e.is_a?(Exceptions::Fatal) || e.is_a?(Timeout::ExitException)

          if attempts < resource.retries
            attempts += 1
            Jetpack.call('retry', [@depth, resource.declared_key, attempts, resource.retries, Jetpack.message_of(e)])
            sleep(resource.retry_delay)
            retry
          end
          raise remember(resource, e) unless resource.ignore_failure

          Jetpack.call('ignored', [@depth, resource.declared_key, action, Jetpack.message_of(e), resource.ignore_failure.to_s == 'quiet'])
        end
        notify(resource) if resource.updated
        nil
      ensure
        resource.updated ||= was
      end

      # Delayed notifications, and those that they cause.
      def run_delayed(context)
        errors = []
        while (notice, target, action = context.next_delayed)
          begin
            run_action(target, action, notice.source, :delayed)
          rescue StandardError => e
            # The others run all the same, as in Chef.
            errors << e
          end
        end
        raise errors.first if errors.any?
      end

      # What would be changed.
      def pretend
        before, @dry_run = @dry_run, true
        yield
      ensure
        @dry_run = before
      end

      private

      def perform(resource, action)
        if resource.is_a?(HostResource) && resource.class.custom_actions.empty? && resource.class.provider_class.nil?
          resource.host_action(action)
        else
          in_ruby(resource, action)
        end
      end

      def in_ruby(resource, action)
        Jetpack.call('begin', [@depth, resource.declared_key, action, resource.source_line, resource.recipe_key])
        started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        @depth += 1
        begin
          resource.class.properties.each_value { |property| property.demand(resource, action) }
          provider = provider_of(resource, action)
          provider.load_current_resource
          provider.action = action
          method = :"action_#{action}"
          raise Exceptions::UnsupportedAction, "#{resource} has no code for :#{action}" unless provider.respond_to?(method)

          if provider.is_a?(CustomProvider)
            provider.compile_and_converge_action { public_send(method) }
          else
            provider.public_send(method)
          end
        ensure
          @depth -= 1
        end
        resource.elapsed_time = Process.clock_gettime(Process::CLOCK_MONOTONIC) - started
        Jetpack.call('end', [@depth, resource.declared_key, action, resource.updated ? true : false, resource.elapsed_time])
      end

      def provider_of(resource, action)
        klass = resource.class.provider_class
        klass ||= Chef::Provider.const_get(resource.provider.to_s) if resource.provider.is_a?(Class)
        raise Exceptions::NoProviderAvailable, "nothing acts for #{resource}" unless klass

        provider = klass.new(resource, resource.run_context)
        provider.action = action
        provider.current_resource = current_value(resource, provider) if resource.class.loads_current_value?
        provider
      end

      # A resource with the identity of another one and the values that are there now.
      def current_value(resource, _provider)
        current = resource.class.new(resource.name, resource.run_context)
        current.declared_type = resource.declared_type
        current.cookbook_name, current.recipe_name = resource.cookbook_name, resource.recipe_name
        current.source_line = resource.source_line
        resource.class.properties.each_value do |property|
          next unless property.set?(resource) && (!property.desired_state? || property.identity? || property.name_property?)

          property.set(current, property.get(resource))
        end
        if resource.method(:jetpack_load_current_value).arity.zero? then current.jetpack_load_current_value
        else current.jetpack_load_current_value(resource)
        end
        current
      rescue Resource::CurrentValueDoesNotExist
        nil
      end

      def skipped(resource, action, why)
        Jetpack.call('skipped', [@depth, resource.declared_key, action, why.to_s, resource.recipe_key])
        nil
      end

      def remember(resource, error)
        @failed_resource = resource if @failed_error.nil? || !same?(error)
        @failed_error = error
        error
      end

      def same?(error) = @failed_error.equal?(error)

      # Something else wants to act first if this one would change anything.
      def before_notices(resource, action)
        return if @pretending

        notices = Chef.run_context.notices(resource, [:before])
        return if notices.empty? || !would_update?(resource, action)

        notices.each do |notice|
          run_action(notice.resolve(resource.run_context || Chef.run_context), notice.action, resource, :before)
        end
      end

      # Whether an action would change anything. What fails now may not fail when others have acted.
      def would_update?(resource, action)
        pretend do
          @pretending = true
          Jetpack.call('quiet', true)
          perform(resource, action)
          resource.updated
        rescue StandardError
          true
        ensure
          @pretending = false
          Jetpack.call('quiet', false)
          resource.updated = false
        end
      end

      def notify(resource)
        return if @pretending

        context = Chef.run_context
        notices = context.notices(resource, %i[immediately delayed])
        return if notices.empty?

        notices.each do |notice|
          target = notice.resolve(resource.run_context || context)
          Array(target).each do |one|
            if notice.timing == :immediately
              run_action(one, notice.action, resource, :immediate)
            else
              context.delay(notice, one)
            end
          end
        end
      end
    end
  end

  # One run, from the configuration that the host gives to the report that it gets.
  class Run
    def initialize(config)
      @config = config
      @node = Chef.node_of(config)
      Chef.run_context = RunContext.new(@node, CookbookCollection.new(config['cookbook_path']))
      DataBag.folders = config['data_bag_path']
      Chef::Config.merge!(config['config'] || {})
      Chef::Config[:cookbook_path] = config['cookbook_path']
      Chef::Config[:why_run] = Runner.dry_run = config['dry_run']
      Chef::Log.level = config['log_level'] || 'info'
    end

    # Attributes and recipes.
    def compile
      Jetpack.call('phase', 'compile')
      environment
      recipes = expand(@node.run_list)
      @node.automatic['recipes'] = recipes.flat_map { |name| name.end_with?('::default') ? [name, name.delete_suffix('::default')] : name.include?('::') ? [name] : [name, "#{name}::default"] }.uniq
      @node.automatic['roles'] = @roles
      @node.automatic['expanded_run_list'] = recipes
      recipes.map { |name| name.split('::').first }.uniq.each { |name| Chef.run_context.load_cookbook(name) }
      recipes.each { |name| Chef.run_context.include_recipe(name) }
    end

    def converge
      Jetpack.call('phase', 'converge')
      begin
        Runner.converge(Chef.run_context.collection)
      rescue StandardError, ScriptError => e
        # What was notified about is done even when the run fails, as in Chef.
        begin
          Runner.run_delayed(Chef.run_context)
        rescue StandardError => e2
          Jetpack.call('log', ['error', "a delayed notification failed, too: #{Jetpack.message_of(e2)}"])
        end
        raise e
      end
      Runner.run_delayed(Chef.run_context)
    end

    # Blocks that wanted to wait for cluster-init.
    def deferred
      context = Chef.run_context
      until (blocks = context.take_deferred).empty?
        Jetpack.call('phase', 'deferred')
        blocks.each do |resource|
          nested = context.child
          context.within(nested) do
            recipe = Recipe.new(resource.cookbook_name, resource.recipe_name, nested)
            recipe.instance_exec(&resource.body) if resource.body
            Runner.converge(nested.collection)
          end
        end
        Runner.run_delayed(context)
      end
    end

    private

    def environment
      name = @config['environment'] || '_default'
      @node.chef_environment = name
      return if name == '_default'

      environment = Environment.load(name, @config['environment_path'] || [])
      @node.env_default.update(environment.default_attributes)
      @node.env_override.update(environment.override_attributes)
    end

    # Recipes of a run list, with those of its roles in their place.
    def expand(list)
      @roles = []
      recipes = []
      walk(list, recipes, [])
      recipes.uniq
    end

    def walk(list, recipes, chain)
      list.each do |item|
        next recipes << item.name if item.recipe?
        next if @roles.include?(item.name)

        role = Role.load(item.name, @config['role_path'] || [])
        @roles << item.name
        walk(role.run_list_for(@node.chef_environment), recipes, [*chain, item.name])
        # What comes later in a run list is stronger.
        Chef.merge_level(@node.role_default, role.default_attributes)
        Chef.merge_level(@node.role_override, role.override_attributes)
      end
    end
  end

  class << self
    def node_of(config)
      node = Node.new
      node.name = config['node_name']
      node.run_list = RunList.new(*config['run_list'])
      node.automatic.update(config['automatic'] || {})
      node.normal.update(config['normal'] || {})
      node
    end

    def merge_level(level, attributes)
      attributes.each { |key, value| level[key] = level.key?(key) ? Mixin::DeepMerge.merge(level[key].to_hash_or_self, Mash.plain(value)) : value }
    end
  end

  class Node
    class VividMash
      def to_hash_or_self = to_hash
    end
  end
end

class Object
  def to_hash_or_self = self
end

class << Jetpack
  # What the host calls. Each returns JSON, also for what went wrong.
  def phase(name)
    guard do
      case name
      when 'compile'
        @run = Chef::Run.new(call('config'))
        @run.compile
      when 'converge' then @run.converge
      when 'deferred' then @run.deferred
      end
    end
    context = Chef.run_context
    JSON.generate({ 'ok' => true, 'resources' => context.collection.size })
  rescue SystemExit => e
    JSON.generate({ 'exit' => e.status, 'failure' => failure(e, Chef::Runner.failed_resource) })
  rescue Exception => e # rubocop:disable Lint/RescueException -- there is nobody above who could
    JSON.generate({ 'failure' => failure(e, Chef::Runner.failed_resource) })
  end
end
