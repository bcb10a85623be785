# frozen_string_literal: true

class Chef
  # What metadata.rb says.
  class Metadata
    attr_reader :dependencies, :values

    def initialize(folder_name)
      @values = { name: folder_name, version: '0.0.0' }
      @dependencies = {}
    end

    def from_file(file) = Jetpack.evaluate(self, file)
    def from_json(text)
      json = JSON.parse(text)
      @values[:name] = json['name'] if json['name']
      @values[:version] = json['version'] if json['version']
      (json['dependencies'] || {}).each { |name, constraint| depends(name, constraint) }
    end
    def depends(cookbook, *constraints) = @dependencies[cookbook.to_s] = constraints
    %i[name version maintainer maintainer_email license description long_description].each do |key|
      define_method(key) { |value = nil| value.nil? ? @values[key] : @values[key] = value }
    end
    # What else there may be: supports, issues_url, chef_version, recommends …
    def method_missing(*) = nil
    def respond_to_missing?(*) = true
  end

  # A cookbook: the files in its folder, with those of earlier folders of the same name hidden.
  class Cookbook
    attr_reader :name, :root

    def initialize(name, root)
      @name = name
      @root = root
    end

    def metadata
      @metadata ||= Metadata.new(name).tap do |metadata|
        if File.file?(file = File.join(root, 'metadata.rb')) then metadata.from_file(file)
        elsif File.file?(file = File.join(root, 'metadata.json')) then metadata.from_json(File.read(file))
        end
      end
    end

    def version = metadata.version
    def dependencies = metadata.dependencies
    def recipe_file(recipe) = [File.join(root, 'recipes', "#{recipe}.rb"), (File.join(root, 'recipe.rb') if recipe == 'default')].compact.find { |file| File.file?(file) }
    def recipes = ruby_files('recipes').map { |file| "#{name}::#{File.basename(file, '.rb')}" }
    def attribute_files
      files = ruby_files('attributes')
      files.unshift(File.join(root, 'attributes.rb')) if File.file?(File.join(root, 'attributes.rb'))
      files.sort_by { |file| [File.basename(file) == 'default.rb' ? 0 : 1, file] }
    end
    def libraries = ruby_files('libraries', '**/')
    def resources = ruby_files('resources')
    def providers = ruby_files('providers')
    def definitions = ruby_files('definitions')

    # A template or file: the most special for this node.
    def find_file(kind, source)
      node = Chef.node
      platform, version = node['platform'].to_s, node['platform_version'].to_s
      places = ["host-#{node['fqdn'] || node.name}"]
      parts = version.split('.')
      parts.size.downto(1) { |count| places << "#{platform}-#{parts.first(count).join('.')}" }
      places.push(platform, 'default', '')
      found = places.map { |place| File.join(root, kind.to_s, place, source) }.find { |file| File.file?(file) }
      return found if found

      near = Jetpack.closest(source, Dir.glob('**/*', base: File.join(root, kind.to_s)).map { |file| file.sub(%r{\Adefault/}, '') })
      raise Exceptions::FileNotFound, "cookbook `#{name}` has no #{kind == :templates ? 'template' : 'file'} `#{source}` in `#{File.join(root, kind.to_s)}`" \
                                      "#{near && "; did you mean `#{near}`?"}"
    end

    def find_folder(kind, source)
      platform = Chef.node['platform'].to_s
      found = [platform, 'default', ''].map { |place| File.join(root, kind.to_s, place, source) }.find { |folder| File.directory?(folder) }
      found or raise Exceptions::FileNotFound, "cookbook `#{name}` has no folder `#{source}` in `#{File.join(root, kind.to_s)}`"
    end

    def preferred_filename_on_disk_location(_node, kind, source, *) = find_file(kind, source)
    def to_s = "cookbook #{name}"

    private

    # Editors leave locks that look like recipes.
    def ruby_files(folder, below = '')
      Dir.glob("#{root}/#{folder}/#{below}*.rb").reject { |file| File.basename(file).start_with?('.') || !File.file?(file) }.sort
    end
  end

  # All cookbooks in the folders for them. A folder that comes later wins.
  class CookbookCollection
    attr_reader :folders

    def initialize(folders)
      @folders = folders
      @known = {}
    end

    def [](name) = @known[name.to_s] ||= find(name.to_s)
    def key?(name) = !self[name].nil?
    alias include? key?
    alias has_key? key?
    def keys = names
    def names = folders.flat_map { |folder| File.directory?(folder) ? Dir.children(folder).select { |name| File.directory?(File.join(folder, name)) && !name.start_with?('.') } : [] }.uniq.sort

    private

    def find(name)
      return nil if name.empty? || name.include?('/')

      folder = folders.reverse_each.find { |one| File.directory?(File.join(one, name)) }
      return Cookbook.new(name, File.join(folder, name)) if folder

      # The name may be another than the folder's.
      folders.reverse_each do |one|
        Dir.glob("#{one}/*/metadata.rb").each do |file|
          next unless File.read(file).match?(/^\s*name\s+['"]#{Regexp.escape(name)}['"]/)

          return Cookbook.new(name, File.dirname(file))
        end
      end
      nil
    end
  end
end
