# frozen_string_literal: true

class Chef
  # What code in templates can use.
  class TemplateContext
    include DSL::Universal
    CACHE = {}
    attr_reader :node, :cookbook_name, :recipe_name, :template_finder

    def initialize(resource, cookbook, variables, modules)
      @node = Chef.node
      @cookbook_name = cookbook
      @recipe_name = resource.recipe_name
      @new_resource = resource
      @template_name = resource.name
      variables.each { |name, value| instance_variable_set(:"@#{name}", value.is_a?(DelayedEvaluator) ? value.call : value) }
      @jetpack_modules = modules
      modules.each { |one| extend(one) }
    end

    def render_file(file)
      instance_exec(&(CACHE[file] ||= TemplateContext.compiled(file)))
    rescue ScriptError, StandardError => e
      raise if e.is_a?(Exceptions::TemplateError)

      raise Exceptions::TemplateError, TemplateContext.explain(e, file), e.backtrace
    end

    # Renders another template at this place.
    def render(partial, options = {})
      cookbook = options[:cookbook] || @cookbook_name
      file = options[:local] ? partial : Chef.run_context.cookbook!(cookbook).find_file(:templates, options[:source] || partial)
      variables = options[:variables] || jetpack_variables
      TemplateContext.new(@new_resource, cookbook, variables, @jetpack_modules).render_file(file)
    end

    def jetpack_variables
      own = %i[@node @cookbook_name @recipe_name @new_resource @template_name @jetpack_modules]
      (instance_variables - own).to_h { |name| [name.name.delete_prefix('@'), instance_variable_get(name)] }
    end

    # A block, so that Ruby reads a template once however often it is rendered; one may define classes and constants in it.
    def self.compiled(file)
      source = ERB.new(File.read(file), trim_mode: '-').src
      # As ERB itself makes a method of it: behind the comment with the encoding, and lines keep their numbers.
      class_eval("#{source.sub(/^(?!#|$)/) { "proc do\n" }}\nend\n", file, -1)
    end

    # The line and what it says.
    def self.explain(error, file)
      line = error.backtrace_locations&.find { |place| place.path == file }&.lineno || error.message[/:(\d+):/, 1]&.to_i
      return "#{error.class}: #{error.message} in #{file}" unless line

      lines = File.read(file).lines
      first = [line - 3, 0].max
      shown = lines[first, 5].to_a.each_with_index.map { |text, index| "#{first + index + 1 == line ? '>' : ' '}#{(first + index + 1).to_s.rjust(4)}: #{text.chomp}" }
      "#{error.message.lines.first.to_s.chomp} (#{error.class}) on line #{line} of #{file}:\n#{shown.join("\n")}"
    end
  end

  # Where the source of a resource is: in its own cookbook, or in one that it names.
  module FromCookbook
    def source_cookbook = cookbook || cookbook_name&.to_s

    def source_file(kind, source)
      version = run_context.cookbook!(source_cookbook)
      sources = Array(source)
      sources.each_with_index do |one, index|
        return version.find_file(kind, one)
      rescue Exceptions::FileNotFound
        raise if index == sources.size - 1
      end
    end
  end

  class Resource
    if const_defined?(:Template, false)
      class Template
        include FromCookbook

        def helpers(name = nil, &block)
          @helpers ||= []
          @helpers << (name.is_a?(Module) ? name : Module.new(&block))
        end

        def helper(name, &block) = helpers { define_method(name, &block) }

        def variables(values = Property::NOT_SET)
          property = self.class.properties[:variables]
          values.equal?(Property::NOT_SET) ? property.get(self) || {} : property.call(self, values)
        end

        def source_or_default = source || "#{::File.basename(path || name)}.erb"

        def rendered
          file = local ? Array(source).first : source_file(:templates, source_or_default)
          modules = [*@helpers, *Array(helper_modules)]
          TemplateContext.new(self, source_cookbook, variables, modules).render_file(file)
        end

        def prepare(action, sent, _bytes)
          sent = sent.except(:source, :cookbook, :variables, :local, :helper_modules, :inline_helper_blocks)
          missing = action == :create || (action == :create_if_missing && !::File.exist?(path))
          [sent, missing ? rendered : (action == :create_if_missing ? '' : nil)]
        end
      end
    end

    if const_defined?(:CookbookFile, false)
      class CookbookFile
        include FromCookbook

        def prepare(action, sent, _bytes)
          sent = sent.except(:source, :cookbook)
          return [sent, nil] unless action.start_with?('create')

          [sent, ::File.binread(source_file(:files, source || ::File.basename(path || name)))]
        end
      end
    end

    if const_defined?(:RemoteDirectory, false)
      class RemoteDirectory
        include FromCookbook

        # The host copies a folder: where it is, the cookbook knows.
        def prepare(_action, sent, _bytes)
          folder = run_context.cookbook!(source_cookbook).find_folder(:files, source || ::File.basename(path || name))
          [sent.except(:cookbook, :source).merge(source_path: folder), nil]
        end
      end
    end
  end
end
