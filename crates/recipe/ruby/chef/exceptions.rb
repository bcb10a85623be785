# frozen_string_literal: true

class Chef
  module Exceptions
    class ConfigurationError < ArgumentError; end
    class ValidationFailed < ArgumentError; end
    class CannotValidateStaticallyError < ValidationFailed; end
    class UnsupportedAction < RuntimeError; end
    class ResourceNotFound < RuntimeError; end
    class NoSuchResourceType < NameError; end
    class RecipeNotFound < ArgumentError; end
    class RoleNotFound < RuntimeError; end
    class EnvironmentNotFound < RuntimeError; end
    class CookbookNotFound < RuntimeError; end
    class AttributeNotFound < RuntimeError; end
    class MissingCookbookDependency < StandardError; end
    class FileNotFound < RuntimeError; end
    class FileTypeMismatch < RuntimeError; end
    class TemplateError < RuntimeError; end
    class Exec < RuntimeError; end
    class Win32NotWindows < RuntimeError; end
    class ImmutableAttributeModification < NoMethodError; end
    class InvalidDataBagName < ArgumentError; end
    class InvalidDataBagItemID < ArgumentError; end
    class InvalidDataBagPath < ArgumentError; end
    class UserIDNotFound < ArgumentError; end
    class GroupIDNotFound < ArgumentError; end
    class EnclosingDirectoryDoesNotExist < ArgumentError; end
    class ChecksumMismatch < RuntimeError; end
    class Package < RuntimeError; end
    class Service < RuntimeError; end
    class User < RuntimeError; end
    class Group < RuntimeError; end
    class Mount < RuntimeError; end
    class UnsupportedPlatform < RuntimeError; end
    class InvalidResourceSpecification < ArgumentError; end
    class InvalidResourceReference < RuntimeError; end
    class MultipleResourceError < RuntimeError; end
    class RedirectLimitExceeded < RuntimeError; end
    class Conflict < RuntimeError; end
    class InvalidVersionConstraint < ArgumentError; end
    class InvalidCookbookVersion < ArgumentError; end
    class CookbookVersionMismatch < RuntimeError; end
    class CircularDependency < RuntimeError; end
    class Reboot < RuntimeError; end
    class NoProviderAvailable < RuntimeError; end
    class ChildConvergeError < RuntimeError; end
    class DeclaredExecuteError < RuntimeError; end
    class MetadataNotValid < StandardError; end
    class InvalidSearchQuery < ArgumentError; end
    class MultipleFailures < RuntimeError; end
    # The end of a converge that a recipe wants: Chef::Application.fatal!
    class Fatal < RuntimeError; end
  end

  class Application
    def self.fatal!(message, _status = 1)
      Chef::Log.fatal(message)
      raise Exceptions::Fatal, message
    end

    def self.exit!(message, _status = 0) = raise(Exceptions::Fatal, message)
  end
end
# What is raised for answers of HTTP comes with the library, which is loaded when it is used.
module Net; end
%i[HTTP HTTPServerException HTTPClientException HTTPFatalError].each { |name| Net.autoload(name, 'net/http') }
