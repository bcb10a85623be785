# frozen_string_literal: true

class Chef
  # A property of a class of resources.
  class Property
    NOT_SET = Object.new.freeze
    OPTIONS = %i[
      default coerce required name_property name_attribute sensitive desired_state identity callbacks equal_to regex kind_of
      is introduced description deprecated skip_docs default_description respond_to cannot_be instance_variable_name
      validation_message
    ].freeze

    attr_reader :name, :types, :default, :coerce, :required, :callbacks, :equal_to, :regex, :deprecated

    def initialize(name, types, **options)
      unknown = options.keys - OPTIONS
      raise ArgumentError, "property #{name}: unknown option #{unknown.first}" unless unknown.empty?

      @name = name.to_sym
      @ivar = :"@#{name}"
      @types = [types, *options.values_at(:kind_of, :is).compact].flatten.reject { |type| type.equal?(NOT_SET) }
      @default = options.fetch(:default, NOT_SET)
      @coerce = options[:coerce]
      @required = options[:required]
      @is_name = options[:name_property] || options[:name_attribute] || false
      @sensitive = options[:sensitive]
      @desired_state = options.fetch(:desired_state, true)
      @identity = options[:identity]
      @callbacks = options[:callbacks] || {}
      @equal_to = options.key?(:equal_to) ? Array(options[:equal_to]) : nil
      @regex = options.key?(:regex) ? Array(options[:regex]) : nil
      @respond_to = Array(options[:respond_to])
      @cannot_be = Array(options[:cannot_be])
      @deprecated = options[:deprecated]
      @checked = !(@types.empty? && @equal_to.nil? && @regex.nil? && @callbacks.empty? && @respond_to.empty? && @cannot_be.empty?)
    end

    def name_property? = @is_name
    def sensitive? = @sensitive
    def desired_state? = @desired_state
    def identity? = @identity
    def ivar = @ivar
    def default? = !@default.equal?(NOT_SET) || @is_name

    def call(resource, value = NOT_SET)
      return get(resource) if value.equal?(NOT_SET)

      if value.nil? && !takes_nil?
        # As in Chef: a property that cannot be nil is back to its default.
        resource.remove_instance_variable(@ivar) if resource.instance_variable_defined?(@ivar)
        return get(resource)
      end
      set(resource, value)
    end

    def set?(resource) = resource.instance_variable_defined?(@ivar)

    def set(resource, value)
      Chef.deprecated(:property, "#{resource.declared_type}: property #{name} is deprecated") if @deprecated
      value = clean(resource, value) unless value.is_a?(DelayedEvaluator)
      resource.instance_variable_set(@ivar, value)
    end

    def reset(resource) = set?(resource) && resource.remove_instance_variable(@ivar)

    def get(resource)
      if resource.instance_variable_defined?(@ivar)
        value = resource.instance_variable_get(@ivar)
        return value.is_a?(DelayedEvaluator) ? clean(resource, evaluate(resource, value)) : value
      end
      return clean(resource, resource.name) if @is_name
      return nil if @default.equal?(NOT_SET)

      value = @default
      return clean(resource, evaluate(resource, value)) if value.is_a?(DelayedEvaluator)
      return value if value.nil?

      value = resource.instance_exec(value, &@coerce) if @coerce
      # What is changed in place stays with the resource.
      if value.is_a?(Array) || value.is_a?(Hash)
        value = value.dup
      end
      value
    end

    # Fails when an action needs it and it is not there.
    def demand(resource, action)
      return unless @required == true || (@required && @required.include?(action))
      return unless get(resource).nil?

      raise Exceptions::ValidationFailed, "#{name} is a required property"
    end

    def takes_nil? = @types.any? { |type| type.nil? || type == NilClass } || (@default.nil? && !@checked)

    private

    def evaluate(resource, lazy)
      block = lazy.block
      block.arity.zero? || block.arity == -1 ? resource.instance_exec(&block) : block.call(resource)
    end

    def clean(resource, value)
      value = resource.instance_exec(value, &@coerce) if @coerce && !(value.nil? && !takes_nil?)
      check(resource, value) if @checked && !value.nil?
      value
    end

    def check(resource, value)
      unless @types.empty? || @types.any? { |type| type === value || type == value || (type.is_a?(Proc) && type.call(value)) }
        kinds = @types.map { |type| type.nil? ? 'nil' : type.inspect }
        wrong(resource, "must be a kind of #{kinds.size == 1 ? kinds[0] : "[#{kinds.join(', ')}]"}", value)
      end
      if @equal_to && !@equal_to.include?(value)
        wrong(resource, "must be equal to one of: #{@equal_to.map(&:to_s).join(', ')}", value)
      end
      if @regex && !(value.respond_to?(:to_s) && @regex.any? { |regex| regex.match?(value.to_s) })
        wrong(resource, "does not match the regular expression #{@regex.map(&:source).join(' or ')}", value)
      end
      @respond_to.each { |method| wrong(resource, "must have a `#{method}` method", value) unless value.respond_to?(method) }
      @cannot_be.each { |what| wrong(resource, "cannot be #{what}", value) if value.respond_to?(:"#{what}?") && value.public_send(:"#{what}?") }
      @callbacks.each { |message, test| wrong(resource, message.to_s, value) unless resource.instance_exec(value, &test) }
    end

    def wrong(resource, what, value)
      shown = @sensitive || resource.sensitive ? 'what was given' : value.inspect
      raise Exceptions::ValidationFailed, "Option #{name} #{what}!  You passed #{shown}."
    end
  end
end
