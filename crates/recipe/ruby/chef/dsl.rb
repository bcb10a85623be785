# frozen_string_literal: true

class Chef
  class << self
    attr_accessor :run_context

    def node = run_context&.node
    def log_deprecation(message, *) = deprecated(:generic, message)
    def resource_handler_map = Resource::REGISTRY
    def event_handler(*) = nil
    def set_provider_priority_array(*) = nil
    def set_resource_priority_array(*) = nil
  end

  # What recipes, resources, actions, attribute files and templates have in common.
  module DSL
    # Declaring resources: a method for each name of a resource.
    module Resources
      def self.add(name)
        return if method_defined?(name, false)

        define_method(name) do |*arguments, **_options, &block|
          line = caller_locations(1, 1)[0]
          declare_at(name, arguments.empty? ? nil : arguments[0], "#{line.path}:#{line.lineno}", &block)
        end
      end
    end

    module Universal
      include ChefUtils
      include Mixin::ShellOut
      include Mixin::Which

      def node = Chef.node
      def lazy(&block) = DelayedEvaluator.new(block)
      def platform?(*names) = node.platform?(*names)
      def platform_family?(*names) = node.platform_family?(*names)
      def tagged?(*tags) = tags.all? { |tag| node.tags.include?(tag.to_s) }
      def tag(*tags) = node.tag(*tags)
      def untag(*tags) = tags.each { |tag| node.tags.delete(tag.to_s) }
      def log_level = Chef::Log.level

      def value_for_platform(choices)
        versions = choices.find { |names, _| Array(names).map(&:to_s).include?(node['platform'].to_s) }&.last
        if versions.is_a?(Hash)
          version = node['platform_version'].to_s
          exact = versions.find { |wanted, _| Array(wanted).map(&:to_s).include?(version) }
          exact ||= versions.find do |wanted, _|
            Array(wanted).any? { |one| one.to_s.match?(/\A[~<>=!]/) && VersionConstraint.new(one.to_s).include?(version) }
          end
          exact ||= versions.find { |wanted, _| wanted.to_s == 'default' }
          return exact.last if exact
        elsif versions
          return versions
        end
        choices['default'] || choices[:default]
      end

      def value_for_platform_family(choices)
        family = node['platform_family'].to_s
        found = choices.find { |names, _| Array(names).map(&:to_s).include?(family) }
        found ? found.last : choices['default'] || choices[:default]
      end

      def data_bag(bag) = DataBag.ids(bag.to_s)
      def data_bag_item(bag, id, secret = nil) = DataBag.item(bag.to_s, id.to_s, secret)
      def search(kind, query = '*:*', *, **options, &) = DataBag.search(kind.to_s, query.to_s, **options, &)
      def cluster = CycleCloudCluster.of_run
      def registry_key_exists?(*) = false
      def registry_data_exists?(*) = false
      def reboot_pending? = File.exist?('/var/run/reboot-required')
      def chef_environment = node.chef_environment
      def in_place? = false
      def with_run_context(where, &) = run_context.within(where, &)
    end

    # Where resources can be declared.
    module Declaring
      include Resources

      # The resource with this type and name, made and put into the collection.
      def declare_resource(type, name, created_at: nil, enclosing_provider: nil, run_context: nil, create_if_missing: false, &block)
        created_at ||= Chef.line_of_caller
        if create_if_missing && (found = find_resource(type, name))
          return found
        end
        declare_at(type, name, created_at, &block)
      end

      def declare_at(type, name, line, &block)
        resource = build_at(type, name, line, &block)
        Chef.run_context.collection.insert(resource)
        resource
      end

      def build_resource(type, name, **, &block) = build_at(type, name, Chef.line_of_caller, &block)

      def build_at(type, name, line, &block)
        klass = Resource.of(type) or raise Exceptions::NoSuchResourceType.new(Resource.unknown(type), type)
        raise Exceptions::ValidationFailed, "#{type} must have a name" if name.nil? && !klass.anonymous_allowed?

        resource = klass.new(klass.name_of(name), Chef.run_context)
        resource.declared_type = type.to_sym
        resource.name_list(name) if name.is_a?(Array)
        resource.source_line = line
        resource.enclosing_provider = self if is_a?(Provider)
        resource.params = params if is_a?(Recipe)
        resource.cookbook_name, resource.recipe_name = jetpack_place
        resource.evaluate(&block) if block
        resource
      end

      def find_resource(type, name = nil, **, &block)
        Chef.run_context.find_resource(type, name) || (block && declare_at(type, name, Chef.line_of_caller, &block))
      end

      def find_resource!(type, name = nil, **)
        Chef.run_context.find_resource(type, name) or
          raise Exceptions::ResourceNotFound, "Cannot find a resource matching #{name ? "#{type}[#{name}]" : type}"
      end

      def edit_resource!(type, name = nil, **, &block) = find_resource!(type, name).tap { |found| found.evaluate(&block) if block }

      def edit_resource(type, name, **, &block)
        found = find_resource(type, name)
        return declare_at(type, name, Chef.line_of_caller, &block) unless found

        found.evaluate(&block) if block
        found
      end

      def delete_resource!(type, name) = find_resource!(type, name).tap { |found| Chef.run_context.delete(found) }
      def delete_resource(type, name) = find_resource(type, name)&.tap { |found| Chef.run_context.delete(found) }
      def with_run_context(where, &) = Chef.run_context.within(where, &)
      def resources(*names) = Chef.run_context.lookup(*names)
      def notify_group_of(...) = notify_group(...)
      def resource_collection = Chef.run_context.collection
    end
  end

  # The line of the first caller that is not ours.
  def self.line_of_caller
    place = caller_locations(2).find { |line| !line.path.to_s.start_with?('/__ruby__/') && !line.path.to_s.start_with?('<internal') }
    place ? "#{place.path}:#{place.lineno}" : 'dynamically defined'
  end

  # `~> 1.2`, as in metadata and in value_for_platform.
  class VersionConstraint
    def initialize(text) = @requirement = Gem::Requirement.new(text)
    def include?(version) = @requirement.satisfied_by?(Gem::Version.new(version.to_s[/\A[\d.]+/] || '0'))
    Platform = self
  end
end
