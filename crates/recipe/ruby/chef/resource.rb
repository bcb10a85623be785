# frozen_string_literal: true

class Chef
  # What every resource has. Kinds of the catalogue are subclasses that act in the host; custom resources act in Ruby.
  class Resource
    include DSL::Universal

    # Names of resources and their classes. Of several classes for a name the last wins whose platform fits.
    REGISTRY = Hash.new { |names, name| names[name] = [] }

    class << self
      # The class that a name means on this node.
      def of(name)
        offers = REGISTRY.fetch(name.to_sym) { return nil }
        offers.reverse_each { |klass, condition| return klass if condition.nil? || condition.call(Chef.node) }
        nil
      end

      def unknown(name)
        names = REGISTRY.keys.map(&:to_s)
        near = Jetpack.closest(name.to_s, names)
        "there is no resource `#{name}`#{near && "; did you mean `#{near}`?"}"
      end

      # The names under which it can be declared; the last is its own.
      def provides(name, *_platforms, override: nil, target_mode: nil, **conditions, &block)
        name = name.to_sym
        DSL::Resources.add(name)
        REGISTRY[name] << [self, condition_of(conditions, block)]
        @resource_name ||= name
      end

      def resource_name(name = Property::NOT_SET)
        return @resource_name || (superclass.resource_name if superclass.respond_to?(:resource_name)) if name.equal?(Property::NOT_SET)

        provides(name) if name
        @resource_name = name&.to_sym
      end
      alias resource_name= resource_name

      def properties = @properties ||= superclass.respond_to?(:properties) ? superclass.properties.dup : {}
      def state_properties = properties.values.select(&:desired_state?)
      def inherited(klass)
        super
        klass.instance_variable_set(:@properties, properties.dup)
      end

      def property(name, type = Property::NOT_SET, **options)
        unless options[:name_property] || options[:name_attribute] || name != :name
          options[:name_property] = true
        end
        add_property(Property.new(name, type, **options))
      end

      def add_property(property)
        name = property.name
        properties[name] = property
        define_method(name) do |value = Property::NOT_SET, &block|
          return property.get(self) if value.equal?(Property::NOT_SET) && !block

          property.call(self, value.equal?(Property::NOT_SET) ? block : value)
        end
        define_method(:"#{name}=") { |value| property.set(self, value) }
        name
      end

      # LWRPs called them attributes.
      def attribute(name, type = Property::NOT_SET, **options)
        options[:default] = nil unless options.key?(:default) || options[:name_attribute] || options[:name_property]
        property(name, type, **options)
      end

      def property_type(**options) = Property.new(:type, Property::NOT_SET, **options)
      def deprecated_property_alias(from, to, message = nil) = alias_property(from, to, message)
      def alias_property(from, to, message = nil)
        define_method(from) do |value = Property::NOT_SET|
          Chef.deprecated(:property, message) if message
          value.equal?(Property::NOT_SET) ? public_send(to) : public_send(to, value)
        end
        define_method(:"#{from}=") { |value| public_send(to, value) }
      end

      def allowed_actions(*actions)
        @allowed_actions ||= superclass.respond_to?(:allowed_actions) ? superclass.allowed_actions.dup : [:nothing]
        @allowed_actions |= actions.flatten.map(&:to_sym)
      end
      alias actions allowed_actions
      def allowed_actions=(actions)
        @allowed_actions = [:nothing, *Array(actions)].uniq
      end

      def default_action(action = Property::NOT_SET)
        unless action.equal?(Property::NOT_SET)
          @default_action = Array(action).map(&:to_sym)
          allowed_actions(*@default_action)
        end
        return @default_action if @default_action
        return superclass.default_action if superclass.respond_to?(:default_action) && superclass != Resource

        first = allowed_actions.reject { |name| name == :nothing }.first
        [first || :nothing]
      end
      alias default_action= default_action

      # Defines an action of a custom resource.
      def action(name, description: nil, &block)
        name = name.to_sym
        allowed_actions(name)
        own = @default_action
        @default_action = [name] if own.nil? && custom_actions.empty? && (superclass == Resource || superclass.custom_actions.empty?)
        custom_actions << name
        action_class.define_method(:"action_#{name}", &(block || proc {}))
      end

      def custom_actions = @custom_actions ||= superclass.respond_to?(:custom_actions) ? superclass.custom_actions.dup : []

      # The class whose instances run the actions.
      def action_class(&block)
        @action_class ||= begin
          parent = superclass.respond_to?(:action_class) && superclass != Resource ? superclass.action_class : CustomProvider
          Class.new(parent).set_temporary_name("provider(#{resource_name || 'anonymous'})")
        end
        @action_class.class_eval(&block) if block
        @action_class
      end
      alias action_provider_class action_class
      alias declare_action_class action_class

      def provider_class = @provider_class || (@action_class || !custom_actions.empty? ? action_class : nil) ||
                           (superclass.provider_class if superclass.respond_to?(:provider_class))
      attr_writer :provider_class

      def load_current_value(&block)
        define_method(:jetpack_load_current_value, &block)
        @loads_current_value = true
      end
      def loads_current_value? = @loads_current_value || (superclass.respond_to?(:loads_current_value?) && superclass.loads_current_value?)
      def load_current_value! = nil
      def current_value_does_not_exist! = raise(CurrentValueDoesNotExist)

      def unified_mode(*) = true
      def description(text = nil) = text ? @description = text : @description
      def introduced(*) = nil
      def examples(*) = nil
      def preview_resource(*) = nil
      def chef_version_for_provides(*) = nil
      def target_mode(*) = nil
      def deprecated(*) = nil
      def resource_deprecated(*) = nil
      def use(*) = nil
      def use_inline_resources = nil
      def use_automatic_resource_name = nil
      def identity_attr(*) = nil
      def state_attrs(*) = nil
      def run_context = Chef.run_context
      def node = Chef.node
      def lazy(&block) = DelayedEvaluator.new(block)
      def anonymous_allowed? = false
      def name_of(name) = name.is_a?(Array) ? name.join(', ') : name.to_s
      def cookbook_name = @jetpack_cookbook

      private

      def condition_of(conditions, block)
        conditions = conditions.slice(:platform, :platform_family, :platform_version, :os)
        return block if conditions.empty?

        lambda do |node|
          conditions.all? do |key, wanted|
            value = node[key.to_s].to_s
            Array(wanted).any? do |one|
              next VersionConstraint.new(one).include?(value) if key == :platform_version

              one.to_s == 'all' || one == :all || one.to_s == value
            end
          end && (block.nil? || block.call(node))
        end
      end
    end

    class CurrentValueDoesNotExist < RuntimeError; end

    attr_reader :name, :run_context, :guards, :action_list
    attr_accessor :declared_type, :source_line, :cookbook_name, :recipe_name, :enclosing_provider, :updated, :params,
                  :elapsed_time, :not_if_guards, :notification_list, :before_list, :provider

    def initialize(name, run_context = nil)
      @name = name
      @run_context = run_context
      @updated = false
    end

    def name(value = Property::NOT_SET)
      @name = self.class.name_of(value) unless value.equal?(Property::NOT_SET)
      @name
    end

    # `package %w[a b]`: the property that is named by the resource takes the list itself, if it takes lists.
    def name_list(names)
      property = self.class.properties.each_value.find(&:name_property?)
      property.set(self, names) if property && (property.types.empty? || property.types.include?(Array))
    end

    def evaluate(&block) = instance_exec(&block)
    def resource_name = self.class.resource_name || declared_type
    def recipe_key = "#{cookbook_name}::#{recipe_name}"
    def declared_key = "#{declared_type || resource_name}[#{name}]"
    def to_s = declared_key
    def inspect = "<#{self}>"
    def key = declared_key
    def identity = name
    def to_text = "#{declared_key} #{state.inspect}"
    def to_hash = self.class.properties.each_with_object({ name: name }) { |(key, property), hash| hash[key] = property.get(self) if property.set?(self) }
    alias to_h to_hash
    def to_json(*) = JSON.generate(to_hash)
    def state = self.class.state_properties.to_h { |property| [property.name, property.get(self)] }
    alias state_for_resource_reporter state
    def defined_at = source_line
    def events = nil
    def immediate_notifications = (notification_list || []).select { |notice| notice.timing == :immediately }
    def delayed_notifications = (notification_list || []).select { |notice| notice.timing == :delayed }

    # --- properties of all resources

    def action(actions = Property::NOT_SET)
      return @action_list || self.class.default_action if actions.equal?(Property::NOT_SET)

      actions = Array(actions).flatten.map { |name| name.to_sym }
      unknown = actions.find { |name| !self.class.allowed_actions.include?(name) && name != :nothing }
      unknown_action(unknown) if unknown
      @action_list = actions
    end
    def action=(actions)
      action(actions)
    end

    def allowed_actions = self.class.allowed_actions

    def unknown_action(name)
      near = Jetpack.closest(name.to_s, self.class.allowed_actions.map(&:to_s))
      raise Exceptions::ValidationFailed,
            "#{self} has no action :#{name}#{near && "; did you mean :#{near}?"} " \
            "(it has #{(self.class.allowed_actions - [:nothing]).map { |one| ":#{one}" }.join(', ')})"
    end

    def ignore_failure(value = Property::NOT_SET) = value.equal?(Property::NOT_SET) ? @ignore_failure : @ignore_failure = value
    def retries(count = Property::NOT_SET) = count.equal?(Property::NOT_SET) ? @retries || 0 : @retries = count.to_i
    def retry_delay(seconds = Property::NOT_SET) = seconds.equal?(Property::NOT_SET) ? @retry_delay || 2 : @retry_delay = seconds.to_f
    def sensitive(value = Property::NOT_SET) = value.equal?(Property::NOT_SET) ? @sensitive || false : @sensitive = value
    def umask(value = Property::NOT_SET) = value.equal?(Property::NOT_SET) ? @umask : @umask = value
    def guard_interpreter(name = Property::NOT_SET) = name.equal?(Property::NOT_SET) ? @guard_interpreter : @guard_interpreter = name
    def compile_time(value = Property::NOT_SET) = value.equal?(Property::NOT_SET) ? @compile_time : @compile_time = value
    def epic_fail(value) = ignore_failure(value)
    def noop(*) = nil
    def provider(klass = Property::NOT_SET) = klass.equal?(Property::NOT_SET) ? @provider : @provider = klass
    def description(*) = nil

    # --- whether and when

    def only_if(command = nil, **options, &block) = add_guard(true, command, options, block)
    def not_if(command = nil, **options, &block) = add_guard(false, command, options, block)

    def notifies(action, target, timing = :delayed)
      timing = Notice.timing(timing)
      (target.is_a?(Array) ? target : [target]).each do |one|
        notice = Notice.new(self, action.to_sym, target_of(one), timing)
        timing == :before ? (@before_list ||= []) << notice : (@notification_list ||= []) << notice
      end
      true
    end

    def subscribes(action, source, timing = :delayed)
      timing = Notice.timing(timing)
      (source.is_a?(Array) ? source : [source]).each { |one| (@run_context || Chef.run_context).subscribe(target_of(one), Notice.new(nil, action.to_sym, self, timing)) }
      true
    end
    def notifies_immediately(action, target) = notifies(action, target, :immediately)
    def notifies_delayed(action, target) = notifies(action, target, :delayed)
    def notifies_before(action, target) = notifies(action, target, :before)

    # --- afterwards

    def updated? = @updated
    alias updated_by_last_action? updated?
    def updated_by_last_action(value) = @updated = value

    # --- properties by name

    def property_is_set?(name) = property_named(name).set?(self)
    def reset_property(name) = property_named(name).reset(self)
    def set_or_return(name, value, validation = {})
      ivar = :"@#{name}"
      return instance_variable_get(ivar) || validation[:default] if value.nil?

      Property.new(name, Property::NOT_SET, **validation.slice(:kind_of, :equal_to, :regex, :callbacks, :respond_to)).call(self, value)
    end
    def validate(options, rules)
      rules.each { |name, rule| raise Exceptions::ValidationFailed, "Required argument #{name} is missing!" if rule[:required] && options[name].nil? }
      options
    end
    def current_value_does_not_exist! = raise(CurrentValueDoesNotExist)
    def copy_properties_from(other, *names, exclude: [])
      names = self.class.properties.keys if names.empty?
      (names - exclude).each { |name| public_send(name, other.public_send(name)) if other.property_is_set?(name) }
      self
    end
    def resource_for_node(*names) = run_context.lookup(*names)
    def resources(*names) = run_context.lookup(*names)
    def cookbook_version = run_context.cookbooks[cookbook_name]
    def node = Chef.node
    def load_from(*) = nil
    def as_json(*) = to_hash
    def dup_for_retry = self

    # Runs one action, with its guards, its retries and its notifications.
    def run_action(action, notification_type = nil, notifier = nil) = Runner.run_action(self, action.to_sym, notifier, notification_type)

    # Methods of an action that declares this resource; then a word about what may have been meant.
    def method_missing(name, *arguments, **options, &block)
      if enclosing_provider&.respond_to?(name, true)
        return enclosing_provider.__send__(name, *arguments, **options, &block)
      end
      if Resource::REGISTRY.key?(name) && (!arguments.empty? || block)
        return Chef.run_context.recipe_for(self).declare_at(name, arguments[0], Chef.line_of_caller, &block)
      end
      return super if arguments.empty? && options.empty? && block.nil? && name.end_with?('?')

      near = Jetpack.closest(name.to_s, self.class.properties.keys.map(&:to_s))
      message = "undefined property or method `#{name}` for #{self}#{near && "; did you mean `#{near}`?"}"
      raise NoMethodError.new(message, name, arguments)
    end

    def respond_to_missing?(name, all = false) = enclosing_provider&.respond_to?(name, all) || super

    private

    def add_guard(positive, command, options, block)
      # Asked without arguments it says what there is; a false value is a guard, too.
      return (@guards || []).select { |guard| guard.positive == positive } if command.nil? && block.nil? && options.empty?

      (@guards ||= []) << Guard.new(positive, command, options, block, self)
    end

    def target_of(target)
      case target
      when Resource, String then target
      when Hash then type, name = target.first; "#{type}[#{name}]"
      when Symbol then target.to_s
      else raise Exceptions::InvalidResourceSpecification, "`#{target.inspect}` names no resource: write 'type[name]'"
      end
    end

    def property_named(name)
      self.class.properties[name.to_sym] or raise ArgumentError, "Property #{name} is not defined in class #{self}"
    end
  end

  class << Resource
    alias_method :build_from_file, :class_eval
  end
end

class << Jetpack
  # The name that is most like one that does not exist.
  def closest(name, names)
    near = names.uniq.map { |other| [distance(name, other), other] }.min
    near && near[0] <= [2, name.size / 4].max ? near[1] : nil
  end

  private

  def distance(a, b)
    row = (0..b.size).to_a
    a.each_char.with_index(1) do |left, i|
      diagonal, row[0] = row[0], i
      b.each_char.with_index(1) do |right, j|
        replaced = diagonal + (left == right ? 0 : 1)
        diagonal = row[j]
        row[j] = [replaced, row[j] + 1, row[j - 1] + 1].min
      end
    end
    row[b.size]
  end
end
