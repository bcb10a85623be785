# frozen_string_literal: true

# The kinds of resources that the host applies, from the host's own catalogue.
class Chef
  # A resource that acts in the host.
  class HostResource < Resource
    TYPES = {
      'string' => [String, Symbol], 'integer' => [Integer], 'float' => [Numeric], 'boolean' => [true, false],
      'array' => [Array], 'hash' => [Hash], 'regexp' => [Regexp]
    }.freeze

    class << self
      attr_reader :kind

      def from_catalogue(kind)
        klass = Class.new(self)
        name = kind['name'].split('_').map(&:capitalize).join
        Resource.const_set(name, klass)
        klass.set_up(kind)
      end

      def set_up(kind)
        @kind = kind
        @body = kind['body']&.to_sym
        @resource_name = kind['name'].to_sym
        allowed_actions(*kind['actions'].map(&:to_sym))
        @default_action = [kind['default_action'].to_sym]
        kind['properties'].each { |property| add_from_catalogue(property) unless property['internal'] }
        kind['provides'].each { |offer| provides_on(offer) }
      end

      def body = @body || (superclass.body if superclass.respond_to?(:body))
      # The names of the properties that the host knows.
      def host_names = @host_names ||= @kind ? @kind['properties'].to_h { |one| [one['name'].to_sym, true] } : superclass.host_names
      def kind_name = @kind ? @kind['name'] : superclass.kind_name
      def repeats? = @kind ? @kind['repeats'] : superclass.repeats?

      private

      def provides_on(offer)
        families = offer['platform_family']
        from, before = offer['from_version'], offer['before_version']
        return provides(offer['name']) if families.empty? && from.nil? && before.nil?

        provides(offer['name']) do |node|
          major = node['platform_version'].to_i
          (families.empty? || families.include?(node['platform_family'])) &&
            (from.nil? || major >= from) && (before.nil? || major < before)
        end
      end

      def add_from_catalogue(property)
        name = property['name'].to_sym
        types = property['types'].flat_map { |type| TYPES.fetch(type) }
        default = property['default']
        options = { sensitive: property['sensitive'] }
        case default['kind']
        when 'name' then options[:name_property] = true
        when 'none' then nil
        when 'empty_array' then options[:default] = []
        when 'empty_hash' then options[:default] = {}
        else options[:default] = default['value']
        end
        required = property['required']
        options[:required] = required['kind'] == 'yes' || (required['kind'] == 'for' && required['actions'].map(&:to_sym))
        options[:coerce] = COERCE[name] if COERCE.key?(name)
        types += [Integer, Float] if types.include?(String) && name == :version
        one_of = property['one_of']
        options[:callbacks] = { "must be equal to one of: #{one_of.join(', ')}" => ->(value) { Array(value).all? { |one| one_of.include?(one.to_s) } } } unless one_of.empty?
        types << nil if types.any?
        add_property(Property.new(name, types.empty? ? Property::NOT_SET : types, **options))
        property['aliases'].each { |other| alias_property(other.to_sym, name) }
      end
    end

    COERCE = {
      # `mode 0755` and `mode '755'`; a decimal 755 is what it looks like in octal only to people, and stays what it is.
      mode: ->(mode) { mode.is_a?(Integer) ? format('%04o', mode) : mode }
    }.freeze

    # What the host needs to know: the properties that are set, and those with a default that is evaluated.
    def for_host(action)
      sent = {}
      bytes = nil
      known = self.class.host_names
      own = self.class.kind.nil?
      self.class.properties.each_value do |property|
        # Defaults of the catalogue are the host's; those of subclasses it does not know.
        next unless property.set?(self) || property.required || property.default.is_a?(DelayedEvaluator) || (own && property.default?)
        next unless known.key?(property.name)

        value = property.get(self)
        if value.nil?
          missing(property, action) if property.required == true || (property.required && property.required.include?(action))
          next
        end
        if property.name == self.class.body
          bytes = value.to_s
        else
          sent[property.name] = Jetpack.plain(value)
        end
      end
      [sent, bytes]
    end

    # Which class of action is another one in Chef, and what its body is. Subclasses make it: templates, files of cookbooks.
    def prepare(_action, sent, bytes) = [sent, bytes]

    def missing(property, _action)
      raise Exceptions::ValidationFailed, "#{property.name} is a required property"
    end

    # `provider Chef::Provider::Package::Rpm`: the kind that acts so.
    OF_PROVIDERS = {
      'Rpm' => 'rpm_package', 'Dpkg' => 'dpkg_package', 'Apt' => 'apt_package', 'Yum' => 'yum_package', 'Dnf' => 'dnf_package',
      'Zypper' => 'zypper_package', 'Rubygems' => 'gem_package'
    }.freeze

    def kind_for_host = (@provider.is_a?(Class) && OF_PROVIDERS[@provider.name.to_s.split('::').last]) || self.class.kind_name

    # Applies an action in the host.
    def host_action(action)
      sent, bytes = for_host(action)
      sent, bytes = prepare(action, sent, bytes)
      sent[:sensitive] = true if sensitive
      name = @name.is_a?(String) ? @name : @name.to_s
      answer, output = Jetpack.call('apply', [kind_for_host, name, action, sent, Runner.depth, Runner.dry_run?, declared_key,
                                      source_line, recipe_key], bytes || (self.class.body && bytes))
      answer = answer.is_a?(Array) && output.nil? ? answer[0] : answer
      @updated = true if answer['updated']
      applied(answer['result'])
      answer
    end

    def applied(_result) = nil
  end
end

class << Jetpack
  # Values as JSON has them.
  def plain(value)
    case value
    when Hash then value.each_with_object({}) { |(key, inner), hash| hash[key.to_s] = plain(inner) }
    when Array then value.map { |inner| plain(inner) }
    when Regexp then { 'regexp' => value.source, 'options' => (value.inspect[%r{/([imx]*)\z}, 1] || '') }
    when String, Integer, Float, true, false, nil then value
    when Symbol then value.name
    else value.respond_to?(:to_hash) ? plain(value.to_hash) : value.to_s
    end
  end
end

JSON.parse(File.read('/__ruby__/jetpack/catalogue.json')).each { |kind| Chef::HostResource.from_catalogue(kind) }
