# frozen_string_literal: true

class Chef
  # Runs the actions of a resource in Ruby.
  class Provider
    include DSL::Universal
    include DSL::Declaring
    attr_accessor :new_resource, :current_resource, :run_context, :action, :after_resource, :logger

    class << self
      def use_inline_resources = nil
      def provides(*, **) = nil
      def include_resource_dsl?(*) = true
      def action(name, description: nil, &block) = define_method(:"action_#{name}", &(block || proc {}))
      def lazy(&block) = DelayedEvaluator.new(block)
      def node = Chef.node
    end

    def initialize(new_resource, run_context)
      @new_resource = new_resource
      @run_context = run_context
      @logger = Chef::Log
    end

    def node = Chef.node
    def cookbook_name = new_resource.cookbook_name
    def recipe_name = new_resource.recipe_name
    def jetpack_place = [new_resource.cookbook_name, new_resource.recipe_name]
    def whyrun_supported? = true
    alias why_run_supported? whyrun_supported?
    def whyrun_mode? = Runner.dry_run?
    def load_current_resource = nil
    def load_after_resource = nil
    def define_resource_requirements = nil
    def cleanup_after_converge = nil
    def process_resource_requirements = nil
    def requirements = @requirements ||= Requirements.new
    def resource_updated? = new_resource.updated?
    def events = nil
    def check_resource_semantics! = nil
    def include_recipe(*names) = Chef.run_context.include_recipes(names, cookbook_name)

    # Changes something, and says what; under dry run it only says so.
    def converge_by(descriptions)
      lines = Array(descriptions).flatten
      Jetpack.call('change', [Runner.depth, lines])
      result = yield unless Runner.dry_run? || !block_given?
      new_resource.updated = true
      result
    end

    # Changes something if any of these properties, or of all that are set, is not as the resource wants it.
    def converge_if_changed(*names)
      state = new_resource.class.state_properties.map(&:name)
      names = (names.empty? ? state : names.map(&:to_sym)).select { |name| new_resource.property_is_set?(name) }
      lines = current_resource ? changed_lines(names) : created_lines(names)
      return false if lines.nil?

      converge_by(lines) { yield if block_given? }
      true
    end

    def compile_and_converge_action(&block)
      nested = Chef.run_context.child
      changed = Chef.run_context.within(nested) do
        instance_exec(&block)
        Runner.converge(nested.collection)
        nested.collection.any?(&:updated?)
      end
      new_resource.updated = true if changed
      nil
    end

    # `new_resource` may be left out for its properties, as it could be long ago.
    def method_missing(name, *arguments, **options, &block)
      return new_resource.public_send(name) if arguments.empty? && block.nil? && new_resource.class.properties.key?(name)
      return new_resource.public_send(name, *arguments, **options, &block) if !name.end_with?('=') && new_resource.class.method_defined?(name, false)

      super
    end

    def respond_to_missing?(name, all = false) = new_resource.class.properties.key?(name) || super

    def to_s = "provider of #{new_resource}"

    private

    def changed_lines(names)
      differing = names.reject { |name| new_resource.public_send(name) == current_resource.public_send(name) }
      return nil if differing.empty?

      width = differing.map { |name| name.to_s.size }.max
      ["update #{identified(current_resource)}"] + differing.map do |name|
        next "  set #{name.to_s.ljust(width)} to (suppressed sensitive property)" if hidden?(name)

        "  set #{name.to_s.ljust(width)} to #{new_resource.public_send(name).inspect} (was #{current_resource.public_send(name).inspect})"
      end
    end

    def created_lines(names)
      names |= new_resource.class.state_properties.select(&:default?).map(&:name)
      names = names.reject { |name| new_resource.class.properties[name].name_property? }
      width = names.map { |name| name.to_s.size }.max || 0
      ["create #{identified(new_resource)}"] + names.map do |name|
        shown = hidden?(name) ? '(suppressed sensitive property)' : new_resource.public_send(name).inspect
        set = new_resource.property_is_set?(name) ? '' : ' (default value)'
        "  set #{name.to_s.ljust(width)} to #{shown}#{set}"
      end
    end

    def identified(resource) = resource.name
    def hidden?(name) = new_resource.sensitive || new_resource.class.properties[name].sensitive?

    # Assertions of providers, checked at once.
    class Requirements
      def assert(*)
        yield(check = Check.new)
        check.verify
      end

      class Check
        def assertion(&block) = @assertion = block
        def failure_message(*message) = @message = message
        def whyrun(*) = nil
        def block_action! = nil
        def verify = @assertion.nil? || @assertion.call || raise(*(@message || ['a requirement is not met']))
      end
    end
  end

  # Runs the actions of a custom resource: what they declare is a collection of their own, converged before they end.
  class CustomProvider < Provider
  end

  class Provider
    # The base of providers in a cookbook's `providers` folder, and of old libraries.
    class LWRPBase < CustomProvider; end
    module InlineResources; end
    {
      package: %w[Rpm Apt Dpkg Yum Dnf Zypper Rubygems], service: %w[Systemd Debian Redhat Init Upstart Simple],
      user: %w[Useradd Linux], group: %w[Groupadd Usermod]
    }.each do |kind, names|
      base = const_set(kind.capitalize, Class.new(Provider))
      # Named in `provider …`: a hint that the host does not need.
      names.each { |name| base.const_set(name, Class.new(base)) }
    end
    %w[File Directory Execute Link Template CookbookFile RemoteFile Script Mount Cron Git Ifconfig Route].each { |name| const_set(name, Class.new(Provider)) }
  end
end
